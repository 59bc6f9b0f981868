/** What a case is: plugins, what is there before them, and what is done with them. Go's and ours are put through the same. */

/** One call of one plugin: its environment and its standard input as they are. `null` takes a variable away. */
export interface Call {
  call: string;
  /** What is told of it in its name. */
  about?: string;
  env?: Record<string, string | null>;
  /** A configuration, or a text that need not be one. Absent is a small valid configuration of that plugin. */
  stdin?: object | string;
}

/** A verb for the whole chain as libcni goes through it. What is not said is as at the ADD. */
export interface Verb {
  do: "ADD" | "CHECK" | "DEL";
  /** Whose plugins, where the task has others, too. */
  by?: "go" | "ours";
  id?: string;
  netns?: string;
  ifName?: string;
  /** CNI_ARGS. */
  args?: string;
  /** Put over each plugin of the chain. */
  conf?: object;
  /** No prevResult, or this one. */
  prevResult?: object | "none";
}

export type Step = "ADD" | "CHECK" | "DEL" | "LOOK" | Verb | Call | { sh: string };

export interface Case {
  name: string;
  /** A shell script on the host, whose container's namespace is `/run/netns/c`. */
  before?: string;
  /** The chain; `name` and `cniVersion` are added. */
  plugins?: object[];
  /** The case is gone through once for each; 1.0.0 if absent. */
  versions?: readonly string[];
  steps?: readonly Step[];
}

export const ALL_VERSIONS = ["0.1.0", "0.2.0", "0.3.1", "0.4.0", "1.1.0", "1.0.0"] as const;
/** ADDs of configurations that must not be accepted, each for another container and interface. */
export const refused = (type: string, list: readonly object[], common: object = {}): Call[] =>
  list.map((more, index) => ({
    call: type,
    about: JSON.stringify(more),
    env: { CNI_CONTAINERID: `r${index}`, CNI_IFNAME: `if${index}` },
    stdin: { cniVersion: "1.0.0", name: "net", type, ...common, ...more },
  }));

/** The life of an attachment, with a second DEL as the specification asks for. */
export const LIFE: readonly Step[] = ["ADD", "LOOK", "CHECK", "DEL", "DEL", "LOOK"];

/** What one twin does: a case at one version. */
export interface Task {
  /** Where the plugins are, on this machine. */
  directory: string;
  /** Go's, where a case is about both. */
  others?: string;
  version: string;
  case: Case;
}

/** What was seen at one step, as plain values. */
export interface Seen {
  /** Its number in the case, and what was done: `3 ADD bridge`. */
  step: string;
  what: unknown;
}
