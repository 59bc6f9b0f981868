/** `kube play`, `kube down` and `kube generate`, which are also `play kube` and `generate kube`. */
import { as, type Entry, verb } from "./command.ts";

const play = verb(
  "play",
  "Play a pod or volume based on Kubernetes YAML",
  async () => (await import("./verbs/kube-play.ts")).kubePlay,
);
const down = verb(
  "down",
  "Remove pods based on Kubernetes YAML",
  async () => (await import("./verbs/kube-play.ts")).kubeDown,
);
const generate = verb(
  "generate",
  "Generate Kubernetes YAML from containers, pods or volumes",
  async () => (await import("./verbs/kube-generate.ts")).kubeGenerate,
);

export const kube: Entry = {
  name: "kube",
  summary: "Play containers, pods or volumes from a structured file",
  verbs: [down, generate, play],
};
export const playNoun: Entry = {
  name: "play",
  hidden: true,
  summary: "Play containers, pods or volumes from a structured file",
  verbs: [as(play, "kube")],
};
export const generateNoun: Entry = {
  name: "generate",
  hidden: true,
  summary: "Generate structured data based on containers, pods or volumes",
  verbs: [as(generate, "kube")],
};
