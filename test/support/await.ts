/** Waiting for a condition, with an end and a reason. */

/** Resolves when `condition` holds; throws `message()` when it still doesn't after `seconds`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  message: () => string,
  // Long, since a machine may be busy: who waits for nothing is told of it late, and nobody else is.
  seconds = 30,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(message());
    await Bun.sleep(20);
  }
}
