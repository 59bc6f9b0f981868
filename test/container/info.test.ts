/** What info and image inspect tell, against this machine as it is. Needs root. */
import { expect, test } from "bun:test";
import { systemInfo, uptime } from "../../src/container/info.ts";
import { inspectImage } from "../../src/image/inspect.ts";
import { ContainerWorld, IMAGE } from "./world.ts";

test("info tells of the machine, the programs and the store", async () => {
  await using world = await ContainerWorld.open();
  await world.create(["true"]);
  await world.run(["sleep", "1000"]);
  const kernel = Bun.spawnSync(["uname", "-r"]).stdout.toString().trim();
  expect(await systemInfo(world.engine)).toMatchObject({
    host: {
      kernel,
      os: "linux",
      networkBackend: "cni",
      conmon: { version: expect.stringMatching(/^conmon version \d/) },
      ociRuntime: {
        name: expect.stringMatching(/^(crun|runc)$/),
        version: expect.stringContaining("version"),
      },
    },
    store: {
      containerStore: { number: 2, paused: 0, running: 1, stopped: 1 },
      imageStore: { number: 1 },
      graphRoot: world.engine.paths.root,
    },
  });
});

test("the time since boot is written as people know it", () => {
  expect(uptime(95_349)).toBe("26h 29m 9.00s (Approximately 1.08 days)");
  expect(uptime(59.9)).toBe("59.00s (Approximately 0.00 days)");
});

test("an image is told with names, digest and layers", async () => {
  await using world = await ContainerWorld.open();
  const { images } = world.engine;
  const image = images.get(IMAGE);
  expect(inspectImage(images, image)).toMatchObject({
    Id: image.id,
    RepoTags: [IMAGE],
    RepoDigests: [`localhost/busybox@${image.digest}`],
    Config: { Cmd: ["sh"] },
    RootFS: { Type: "layers", Layers: image.config.rootfs.diff_ids },
    GraphDriver: { Name: "overlay", Data: { UpperDir: images.layerDirectories(image)[0] } },
  });
});
