/** login and logout at Debian's docker-registry, with podman beside. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/await.ts";
import { TestRegistry } from "../support/registry.ts";
import { Commands, type Outcome } from "./command.ts";

const missing = ["docker-registry", "podman"].filter(program => !Bun.which(program));
const isReady = process.getuid?.() === 0 && missing.length === 0;
const skip = () => console.log(`skipped: needs root${missing.map(one => ` and ${one}`).join("")}`);

let closed: TestRegistry;
beforeAll(async () => {
  if (isReady) closed = await TestRegistry.start({ users: { me: "secret" } });
});
afterAll(() => closed?.[Symbol.asyncDispose]());

/** Each engine with its own runtime directory: what both say, and what is in their files. */
async function both(at: Commands, args: string[]): Promise<Outcome[]> {
  const conf = await at.file("unqualified-search-registries = []\n");
  const outcomes: Outcome[] = [];
  for (const engine of ["portolan", "podman"] as const) {
    const runtime = join(at.directory, `runtime-${engine}`);
    mkdirSync(runtime, { recursive: true, mode: 0o700 });
    const env = { XDG_RUNTIME_DIR: runtime, CONTAINERS_REGISTRIES_CONF: conf };
    const { code, stdout, stderr } = await at[engine](args, env);
    const normal = (text: string) => text.replaceAll(runtime, "<runtime>");
    outcomes.push({ code, stdout: normal(stdout), stderr: normal(stderr) });
  }
  return outcomes;
}
const fileOf = (at: Commands, engine: string) => join(at.directory, `runtime-${engine}/containers/auth.json`);

test("the same words, exit codes and files as podman's", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const { address } = closed;
  const local = ["login", "--tls-verify=false"];
  for (const args of [
    ["login", "--get-login", address],
    [...local, "-u", "me", "-p", "wrong", address],
    [...local, "-u", "me", "-p", "secret", "-v", address],
    ["login", "--get-login", address],
    [...local, address],
    [...local, "-u", "me", "-p", "secret", `${address}/team`],
    [...local, "--password-stdin", "-p", "x", "-u", "me", address],
    [...local, "--password-stdin", address],
    ["login"],
    ["login", "a", "b"],
    ["logout"],
    ["logout", "a", "b"],
    ["logout", "-a", address],
    ["logout", "--authfile", "/nowhere.json", address],
    ["logout", address],
    ["logout", "elsewhere.example"],
  ]) {
    const [ours, podmans] = await both(at, args);
    expect([args, ours]).toEqual([args, podmans]);
    const files = ["portolan", "podman"].map(engine => {
      const path = fileOf(at, engine);
      return existsSync(path)
        ? [readFileSync(path, "utf8"), statSync(path).mode, statSync(join(path, "..")).mode]
        : [];
    });
    expect([args, files[0]]).toEqual([args, files[1]]);
  }
  const [ours, podmans] = await both(at, ["logout", "--all"]);
  expect(ours).toEqual(podmans!);
  expect(readFileSync(fileOf(at, "portolan"), "utf8")).toBe('{\n\t"auths": {}\n}');
});

test("a password from standard input opens the registry to pulls; what else is in the file stays", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const content = {
    auths: { "other.example": { auth: btoa("a:b") } },
    credHelpers: { "third.example": "x" },
  };
  const file = await at.file(JSON.stringify(content));
  const env = { REGISTRY_AUTH_FILE: file };
  const login = ["login", "--tls-verify=false", "-u", "me", "--password-stdin"];
  const secret = new TextEncoder().encode("secret\n");
  expect(await at.portolan([...login, `https://${closed.address}`], env, secret)).toEqual({
    code: 0,
    stdout: "Login Succeeded!\n",
    stderr: "",
  });
  const auths = { ...content.auths, [closed.address]: { auth: btoa("me:secret") } };
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ ...content, auths });
  const pulled = await at.portolan(["pull", "-q", "--tls-verify=false", `${closed.address}/no/image`], env);
  expect(pulled.stderr).toMatch(/manifest unknown/);
  const refused = await at.portolan([...login, "third.example"], env, secret);
  expect(refused.code).toBe(125);
  const told = await at.portolan(["login", "-u", "me", "-p", "x", "--tls-verify=false", "127.0.0.1:1"], env);
  expect([told.code, told.stderr]).toEqual([
    125,
    expect.stringMatching(/^Error: authenticating creds for "127.0.0.1:1": [^\n]*connection refused\n$/),
  ]);
});

test("on a terminal the name and the password are asked for, and the password is not shown", async () => {
  if (!isReady) return skip();
  using at = new Commands();
  const file = join(at.directory, "new/auth.json");
  let printed = "";
  const terminal = new Bun.Terminal({
    cols: 80,
    rows: 24,
    data(self, data) {
      const text = Buffer.from(data).toString();
      printed += text;
      if (text.includes("Username: ")) self.write("me\n");
      if (text.includes("Password: ")) self.write("secret\n");
    },
  });
  const main = join(import.meta.dir, "../../src/main.ts");
  const child = Bun.spawn(
    [process.execPath, main, "login", "--authfile", file, "--tls-verify=false", closed.address],
    { terminal },
  );
  expect(await child.exited).toBe(0);
  await until(
    () => printed.includes("Login Succeeded!"),
    () => printed,
  );
  terminal.close();
  expect(printed).not.toContain("secret");
  expect(JSON.parse(readFileSync(file, "utf8")).auths).toEqual({
    [closed.address]: { auth: btoa("me:secret") },
  });
});
