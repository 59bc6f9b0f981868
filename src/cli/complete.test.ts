import { expect, test } from "bun:test";
import fc from "fast-check";
import { complete } from "./complete.ts";

/** No state there: what the tables alone know. */
const NOWHERE = ["--root", "/nonexistent/root", "--runroot", "/nonexistent/run"];
const values = async (...words: string[]) =>
  (await complete([...NOWHERE, ...words])).values.map(one => one.value);

test("verbs and nouns, those that are meant for people", async () => {
  expect(await values("ru")).toEqual(["run"]);
  expect(await values("help", "ru")).toEqual(["run"]);
  expect(await values("container", "c")).not.toContain("cleanup");
  expect(await values("network", "con")).toEqual(["connect"]);
  expect(await values("nowhere", "")).toEqual([]);
});

test("flags; other spellings for who begins with one", async () => {
  expect(await values("run", "--netw")).toEqual(["--network", "--network-alias"]);
  expect(await values("run", "--net-a")).toEqual(["--net-alias"]);
  expect(await values("run", "--he")).toContain("--help");
  expect(await values("run", "busybox", "--rm")).toEqual([]);
  expect(await values("rm", "one", "--for")).toEqual(["--force"]);
  expect(await values("rm", "--", "--for")).toEqual([]);
  expect(await values("--log-l")).toEqual(["--log-level"]);
});

test("values of flags, after a space, after `=`, after a cluster", async () => {
  expect(await values("run", "--log-driver", "k8")).toEqual(["k8s-file"]);
  expect(await values("run", "--network", "sl")).toEqual(["slirp4netns"]);
  expect(await values("run", "--net=sl")).toEqual(["--net=slirp4netns"]);
  expect(await values("run", "--restart=on")).toEqual(["--restart=on-failure"]);
  expect(await values("kill", "-s", "SIGU")).toContain("SIGUSR1");
  expect(await values("run", "--cap-add", "NET_A")).toEqual(["NET_ADMIN"]);
  expect(await values("run", "--rm=t")).toEqual(["--rm=true"]);
  expect((await complete(["run", "-dv", "./"])).files).toBe(true);
  expect((await complete(["run", "--pid", "n"])).open).toBe(true);
  expect((await complete(["kube", "play", ""])).files).toBe(true);
  expect(await values("ps", "--sort", "cr")).toEqual(["created"]);
});

test("any words at all: an answer, and every candidate goes on with what was typed", async () => {
  const word = fc.oneof(
    fc.constantFrom("run", "rm", "--network", "--", "-", "--=", "network", "help", "-itv", "--root", ""),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async words => {
      const typed = words.at(-1) ?? "";
      // A property's words may name a real state.
      fc.pre(words[0] === undefined || !words[0].startsWith("-"));
      for (const { value } of (await complete([...NOWHERE, ...words])).values)
        expect(value.startsWith(typed)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
