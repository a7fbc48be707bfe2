/** Convex allows a function 1,000 concurrent database operations. */
const AT_ONCE = 500;

/** Process the items in batches, each batch concurrently; returns the results in the order of the items. */
export async function inBatches<Item, Result>(
  items: Item[],
  work: (item: Item, position: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    const batch = items.slice(start, start + AT_ONCE);
    results.push(...(await Promise.all(batch.map((item, position) => work(item, start + position)))));
  }
  return results;
}
