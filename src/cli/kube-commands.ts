/** `kube play`, which is also `play kube`, and `kube down`. */
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

export const kube: Entry = {
  name: "kube",
  summary: "Play containers, pods or volumes from a structured file",
  verbs: [down, play],
};
export const playNoun: Entry = {
  name: "play",
  hidden: true,
  summary: "Play containers, pods or volumes from a structured file",
  verbs: [as(play, "kube")],
};
