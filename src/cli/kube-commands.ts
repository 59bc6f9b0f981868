/** `kube play`, `kube down` and `kube generate`, which are also `play kube` and `generate kube`. */
import { as, type Entry } from "./command.ts";

const play: Entry = {
  name: "play",
  summary: "Play a pod or volume based on Kubernetes YAML",
  load: async () => (await import("./verbs/kube-play.ts")).kubePlay,
};
const down: Entry = {
  name: "down",
  summary: "Remove pods based on Kubernetes YAML",
  load: async () => (await import("./verbs/kube-play.ts")).kubeDown,
};
const generate: Entry = {
  name: "generate",
  summary: "Generate Kubernetes YAML from containers, pods or volumes",
  load: async () => (await import("./verbs/kube-generate.ts")).kubeGenerate,
};

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
