/** The same done to many, one after the other: what fails does not keep the others from it. */
export async function each<T>(all: T[], work: (one: T) => Promise<unknown>, seen: (done: number) => void): Promise<{ done: number; failed: unknown[] }> {
  const failed: unknown[] = [];
  for (const [i, one] of all.entries()) {
    try {
      await work(one);
    } catch (error) {
      failed.push(error);
    }
    seen(i + 1);
  }
  return { done: all.length - failed.length, failed };
}
