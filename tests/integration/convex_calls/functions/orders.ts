import { ConvexError, v } from "convex/values";
import { internalMutation, mutation, query } from "./_generated/server";
import { createRecord, updateRecord } from "./lib/records";
import { callerOf } from "./lib/identity";

// The names of functions made by `recordFunctions`, with arguments and effects of their own.

/** Order something: the order, and an entry with who did it. */
export const create = mutation({
  args: { item: v.string(), amount: v.number() },
  handler: async (ctx, { item, amount }) => {
    const order: any = await createRecord(ctx, "orders" as never, { item, amount: BigInt(amount) } as never);
    const caller = await callerOf(ctx);
    await createRecord(ctx, "entries" as never, { text: `${caller?.subject} ordered ${item}` } as never);
    if (amount > 100) {
      throw new ConvexError({ code: "UNIQUE", most: 100 });
    }
    if (amount < 0) {
      throw new Error("the password is swordfish");
    }
    return { number: order.id, amount: amount * 2 };
  },
});

/** Add one to the amount of every order of an item. */
export const update = mutation({
  args: { data: v.string(), id: v.string() },
  handler: async (ctx, { data, id }) => {
    const orders: any[] = await ctx.db.query("orders" as never).collect();
    const wanted = orders.filter(({ item }) => item === data);
    for (const { id, amount } of wanted) {
      await updateRecord(ctx, "orders" as never, id, { amount: amount + 1n } as never);
    }
    return `${id}: ${wanted.length}`;
  },
});

/** The items of the orders. */
export const list = query({
  args: { of: v.string() },
  handler: async (ctx, { of }) => {
    const orders: any[] = await ctx.db.query("orders" as never).collect();
    return orders.filter(({ item }) => item.startsWith(of)).map(({ item }) => item);
  },
});

/** For the application alone. */
export const seed = internalMutation({
  args: { item: v.string() },
  handler: async (ctx, { item }) => {
    await createRecord(ctx, "orders" as never, { item, amount: 0n } as never);
    return null;
  },
});
