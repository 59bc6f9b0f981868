import { chainIds } from "../../image/patch.ts";
import { type Command, print, requireArgs } from "../command.ts";
import { humanSize } from "../format/human.ts";

interface Node {
  /** Of the layers up to this one (OCI image-spec, config.md: ChainID). */
  chain: string;
  diffId: string;
  children: Node[];
}

export const imageTree: Command = {
  summary: "Print layer hierarchy of an image in a tree format",
  usage: "[options] IMAGE",
  flags: [
    { long: "whatrequires", kind: "bool", help: "Show all child images and layers of the specified image" },
  ],
  outside: true,
  async run(invocation) {
    requireArgs(invocation, 1, 1);
    const { images } = await invocation.engine();
    const image = images.get(invocation.args[0]!);
    const all = images.list().map(one => ({ image: one, chain: chainIds(one.config.rootfs.diff_ids) }));
    const nodes = new Map<string, Node>();
    for (const { image: one, chain } of all)
      chain.forEach((id, index) => {
        if (nodes.has(id)) return;
        const node = { chain: id, diffId: one.config.rootfs.diff_ids[index]!, children: [] };
        nodes.set(id, node);
        if (index > 0) nodes.get(chain[index - 1]!)!.children.push(node);
      });
    print(`Image ID: ${image.id.slice(0, 12)}`);
    print(`Tags:     [${image.names.join(" ")}]`);
    print(`Size:     ${humanSize(image.size, 4)}`);
    const own = chainIds(image.config.rootfs.diff_ids).map(id => nodes.get(id)!);
    print(own.length > 0 ? "Image Layers" : "No Image Layers");
    const label = ({ chain, diffId }: Node) => {
      const names = all.filter(one => one.chain.at(-1) === chain).flatMap(one => one.image.names);
      const size = humanSize(images.layers.find(diffId)?.size ?? 0, 4);
      const top = names.length > 0 ? ` Top Layer of: [${names.join(" ")}]` : "";
      return `ID: ${chain.slice("sha256:".length, "sha256:".length + 12)} Size: ${size.padStart(7)}${top}`;
    };
    const draw = (list: readonly Node[], indent: string, deep: boolean) => {
      for (const [index, node] of list.entries()) {
        const isLast = index === list.length - 1;
        print(`${indent}${isLast ? "└── " : "├── "}${label(node)}`);
        if (deep) draw(node.children, `${indent}${isLast ? "    " : "│   "}`, true);
      }
    };
    if (!invocation.flags.bool("whatrequires")) draw(own, "", false);
    else {
      const top = own.at(-1);
      // The image's own layer, and beside it, as podman draws it, what stands on that.
      if (top) {
        print(`${top.children.length > 0 ? "├── " : "└── "}${label(top)}`);
        draw(top.children, "", true);
      }
    }
    print("");
  },
};
