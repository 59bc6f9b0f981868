/**
 * Settings of the JavaScript engine, as variables of the environment, for processes that wait for most of their lives:
 * JavaScriptCore's options by their names.
 */

/** Collections are seldom and the heap is small: no second thread marks, and none keeps blocks ready for the allocator. */
const ONE_HEAP_THREAD = { BUN_JSC_numberOfGCMarkers: "1", BUN_JSC_useWarmUpMarkedBlocks: "0" };

/** Who moves packets. */
export const PLANE_ENGINE: Readonly<Record<string, string>> = ONE_HEAP_THREAD;

/**
 * Who takes an order now and then, a service or slirp4netns' supervisor: nothing there runs often enough for compiled code to
 * pay for its memory and threads. (Without any compiler there would be no foreign functions.)
 */
export const SERVICE_ENGINE: Readonly<Record<string, string>> = {
  ...ONE_HEAP_THREAD,
  BUN_JSC_useBaselineJIT: "0",
};
