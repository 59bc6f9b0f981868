/**
 * Real images where no registry is in reach: built from Debian packages, as docker-archives.
 *
 * A layer is built once for its recipe and those below it, an image once for its layers and configuration; both are kept
 * in a directory under a key made from the recipe's text. Remove the directory to get Debian's newest.
 *
 * `bun scripts/images/build.ts NAME…` builds into `.cache/images` and prints the archives' paths. Needs root, as files
 * in the layers belong to several users.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { giveBack } from "../give-back.ts";
import { buildLayer, type Layer } from "./layer.ts";
import { run } from "./packages.ts";
import { type ImageRecipe, type LayerRecipe, RECIPES } from "./recipes.ts";

const CREATED = "2024-01-01T00:00:00Z";
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64" };

/** Where images are kept between runs. */
export const IMAGES = resolve(import.meta.dir, "../../.cache/images");

/**
 * The path of a docker-archive(5) of the image called `name` in `RECIPES`, built into `directory` unless it is there.
 * Throws for an unknown name, and when a package can't be had.
 */
export async function buildImage(name: string, directory: string = IMAGES): Promise<string> {
  const recipe = RECIPES[name];
  if (!recipe) throw new Error(`no recipe for an image called ${name}`);
  const archive = join(directory, `${name}-${key(recipe)}.tar`);
  if (existsSync(archive)) return archive;
  mkdirSync(directory, { recursive: true });
  const work = mkdtempSync(join(directory, ".building-"));
  try {
    const layers: Layer[] = [];
    for (const [index, layer] of recipe.layers.entries())
      layers.push(await getLayer(layer, recipe.layers.slice(0, index), layers, directory, work));
    const image = join(work, name);
    mkdirSync(image);
    pack(recipe, layers, image, join(work, `${name}.tar`));
    renameSync(join(work, `${name}.tar`), archive);
    return archive;
  } finally {
    rmSync(work, { recursive: true, force: true });
    const kept = readdirSync(directory).map(name => join(directory, name));
    if (directory === IMAGES) giveBack(dirname(directory), directory, ...kept);
  }
}

function key(value: unknown): string {
  const hash = new Bun.CryptoHasher("sha256");
  hash.update(JSON.stringify(value));
  for (const file of readdirSync(join(import.meta.dir, "entrypoints")).sort())
    if (JSON.stringify(value).includes(`"${file}"`))
      hash.update(readFileSync(join(import.meta.dir, "entrypoints", file)));
  return hash.digest("hex").slice(0, 12);
}

async function getLayer(
  recipe: LayerRecipe,
  belowRecipes: LayerRecipe[],
  below: Layer[],
  directory: string,
  work: string,
): Promise<Layer> {
  const stem = join(directory, `layer-${recipe.name}-${key([...belowRecipes, recipe])}`);
  if (existsSync(`${stem}.json`)) return JSON.parse(readFileSync(`${stem}.json`, "utf8")) as Layer;
  const own = join(work, `layer-${recipe.name}`);
  mkdirSync(own);
  const layer = { ...(await buildLayer(recipe, below, own)), tar: `${stem}.tar` };
  renameSync(join(own, "layer.tar"), layer.tar);
  writeFileSync(join(own, "layer.json"), JSON.stringify(layer));
  renameSync(join(own, "layer.json"), `${stem}.json`);
  rmSync(own, { recursive: true, force: true });
  return layer;
}

/** Packs config, layers and manifest as `docker save` does. */
function pack(recipe: ImageRecipe, layers: Layer[], directory: string, archive: string): void {
  const config = JSON.stringify({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    created: CREATED,
    config: recipe.config,
    rootfs: { type: "layers", diff_ids: layers.map(layer => `sha256:${layer.diffId}`) },
    history: layers.map(layer => ({ created: CREATED, created_by: layer.createdBy })),
  });
  const configName = `${new Bun.CryptoHasher("sha256").update(config).digest("hex")}.json`;
  writeFileSync(join(directory, configName), config);
  for (const layer of layers) linkSync(layer.tar, join(directory, `${layer.diffId}.tar`));
  const files = layers.map(layer => `${layer.diffId}.tar`);
  const manifest = [{ Config: configName, RepoTags: [recipe.reference], Layers: files }];
  writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
  run("tar", "-C", directory, "-cf", archive, "manifest.json", configName, ...files);
}

if (import.meta.main) for (const name of process.argv.slice(2)) console.log(await buildImage(name));
