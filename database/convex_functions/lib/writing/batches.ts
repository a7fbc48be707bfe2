/** Convex allows a function 1,000 operations on the database at a time. */
const AT_ONCE = 500;

/** The results of work on each item, in the order of the items; a batch of them is worked on at once. */
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
