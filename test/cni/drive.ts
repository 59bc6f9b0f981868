/**
 * Drives the CNI runtime in a process of its own, so that "the host" can be a throw-away namespace (the runtime is
 * asynchronous, and a thread can't stay in a namespace across an await). Steps as JSON on stdin, outcomes on stdout.
 */

import { parseConfList } from "../../src/cni/conflist.ts";
import type { Attachment, RuntimeOptions } from "../../src/cni/runtime.ts";
import { CniRuntime } from "../../src/cni/runtime.ts";
import { CniError, type Result } from "../../src/cni/types.ts";

export interface Step {
  do: "add" | "del" | "check" | "gc" | "refresh" | "forget" | "status";
  /** Text of a conflist. */
  list: string;
  attachment?: Attachment;
  valid?: { containerId: string; ifName: string }[];
  options?: RuntimeOptions;
}
export interface Outcome {
  result?: Result;
  error?: string;
  code?: number;
  /** Which plugin could not do what, where it is one's own fault: `"bridge" (add)`; the error is its own words then. */
  failed?: string;
}

/** What libcni puts before a plugin's own words. */
const NAMED = /^plugin type=("[^"]*") failed (\(\w+\)): /;

async function take(step: Step): Promise<Outcome> {
  const runtime = new CniRuntime(step.options);
  try {
    const list = parseConfList(step.list);
    const attachment = step.attachment!;
    if (step.do === "add") return { result: await runtime.add(list, attachment) };
    if (step.do === "del") await runtime.del(list, list.name, attachment);
    else if (step.do === "refresh") await runtime.refresh(list.name, attachment);
    else if (step.do === "forget") await runtime.forget(list);
    else if (step.do === "status") await runtime.status(list);
    else if (step.do === "check") await runtime.check(list, attachment);
    else await runtime.gc(list, step.valid ?? []);
    return {};
  } catch (error) {
    const { message } = error as Error;
    const named = NAMED.exec(message);
    return {
      error: message.replace(NAMED, ""),
      code: error instanceof CniError ? error.code : undefined,
      failed: named ? `${named[1]} ${named[2]}` : undefined,
    };
  }
}

if (import.meta.main) {
  const outcomes: Outcome[] = [];
  for (const step of (await Bun.stdin.json()) as Step[]) outcomes.push(await take(step));
  console.log(JSON.stringify(outcomes));
}
