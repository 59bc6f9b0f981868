/**
 * `make run`: a real web server in a container, published on port 8080, and its page fetched from there.
 *
 * By an ordinary user it is the rootless session: a second container then finds the server by the host's address. By root,
 * and by a user whose machine is not set up for it, who is asked for root by sudo(8), it is the rootful one. Images come from
 * a registry where one answers soon, else they are built from Debian packages.
 */
import { accessSync, constants, readFileSync } from "node:fs";
import { networkInterfaces, userInfo } from "node:os";
import { join } from "node:path";
import { buildImage } from "./images/build.ts";

const PORTOLAN = join(import.meta.dir, "../dist/portolan");
const NAME = "webserver";
const PORT = 8080;
const PAGE = `http://localhost:${PORT}`;
const IMAGES = {
  nginx: "docker.io/library/nginx:latest",
  leap: "registry.opensuse.org/opensuse/leap:latest",
};
/** How long a registry may take to say anything, and the server to give its first page. */
const ANSWER_SECONDS = 10;
const PAGE_SECONDS = 20;

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

function portolan(...args: string[]): Outcome {
  const child = Bun.spawnSync([PORTOLAN, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const { exitCode, stdout, stderr } = child;
  return { code: exitCode, stdout: stdout.toString().trim(), stderr: stderr.toString().trim() };
}

function fail(message: string): never {
  console.error(`Error: ${message}`);
  process.exit(1);
}

function must(...args: string[]): string {
  const { code, stdout, stderr } = portolan(...args);
  if (code !== 0) fail(stderr.replace(/^Error: /, "") || `portolan ${args[0]} ended with ${code}`);
  return stdout;
}

/** What an ordinary user lacks for containers of his own; undefined when he has all. */
function missing(): string | undefined {
  const { username, uid } = userInfo();
  for (const file of ["/etc/subuid", "/etc/subgid"]) {
    const lines = readable(file).split("\n");
    if (!lines.some(line => line.startsWith(`${username}:`) || line.startsWith(`${uid}:`)))
      return `${file} has no range of ids for ${username}`;
  }
  if (!Bun.which("newuidmap")) return "newuidmap is not installed";
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "/dev/net/tun is closed to you; let users open it (as root: chmod 666 /dev/net/tun)";
  }
  return undefined;
}

function readable(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * Pulls the image; false when that fails, or when no registry has said anything within `ANSWER_SECONDS`: when one
 * does, `pull` tells what it copies.
 */
async function pull(image: string): Promise<boolean> {
  const child = Bun.spawn([PORTOLAN, "pull", image], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const giveUp = setTimeout(() => child.kill(), ANSWER_SECONDS * 1000);
  for await (const chunk of child.stderr)
    if (/^(Getting image|Copying)/m.test(new TextDecoder().decode(chunk))) clearTimeout(giveUp);
  const code = await child.exited;
  clearTimeout(giveUp);
  return code === 0;
}

/** A registry that did not answer for one image is not waited for again. */
let isOffline = false;

async function getImage(name: keyof typeof IMAGES): Promise<void> {
  const image = IMAGES[name];
  if (portolan("image", "exists", image).code === 0) return;
  if (!isOffline) {
    console.log(`run: asking the registry for ${name}`);
    if (await pull(image)) return;
    isOffline = true;
  }
  console.log(`run: no registry gave it; building ${name} from Debian packages`);
  must(
    "load",
    "-q",
    "-i",
    isRoot ? await buildImage(name).catch((error: Error) => fail(error.message)) : build(name),
  );
}

/** Builds an image in the user's own namespace, where files can belong to several users. */
function build(name: string): string {
  const script = join(import.meta.dir, "images/build.ts");
  return must("unshare", process.execPath, "run", script, name).split("\n").at(-1)!;
}

/** Refuses early, and in one line, a port that is not ours to take. */
function checkPort(): void {
  try {
    Bun.listen({ hostname: "0.0.0.0", port: PORT, socket: { data() {} } }).stop(true);
  } catch {
    const publishes = new RegExp(`:${PORT}->`);
    const rows = must("ps", "--format", "{{.Names}} {{.Ports}}").split("\n");
    const holder = rows.find(row => publishes.test(row))?.split(" ")[0];
    if (holder)
      fail(
        `port ${PORT} is in use by your container ${holder}; stop it (portolan stop ${holder}) and try again`,
      );
    fail(`port ${PORT} is in use by another program; stop it and try again (ss -ltnp shows which)`);
  }
}

/** The page, as soon as the server gives it. */
async function fetchPage(): Promise<string> {
  const deadline = Date.now() + PAGE_SECONDS * 1000;
  for (;;) {
    try {
      const answer = await fetch(PAGE, { signal: AbortSignal.timeout(2000) });
      if (answer.ok) return await answer.text();
    } catch {
      // Not listening yet.
    }
    if (Date.now() > deadline) fail(`${PAGE} gave no page in ${PAGE_SECONDS} s; see: portolan logs ${NAME}`);
    await Bun.sleep(50);
  }
}

/** An address by which the host is known to its neighbours, and to containers of its users. */
function hostAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}

/** The page as a second container gets it, by the host's address and the published port, with nothing but a shell. */
async function fetchFromContainer(address: string): Promise<string> {
  await getImage("leap");
  const ask = `exec 3<>/dev/tcp/${address}/${PORT}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
  if (portolan("container", "exists", "leap").code === 0) must("rm", "-f", "-t", "0", "leap");
  must("run", "-dt", "--name", "leap", "leap");
  return must("exec", "leap", "bash", "-c", ask);
}

const titleOf = (page: string) => /<title>(.*?)<\/title>/.exec(page)?.[1] ?? page.split("\n")[0];

const isRoot = process.getuid?.() === 0;
const lacking = isRoot ? undefined : missing();
if (lacking) {
  console.log(`run: ${lacking} (docs/rootless.md says how to change that); going on as root, by sudo`);
  const { exitCode } = Bun.spawnSync(["sudo", process.execPath, "run", import.meta.path], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  process.exit(exitCode);
}
await getImage("nginx");
if (portolan("container", "exists", NAME).code === 0) must("rm", "-f", NAME);
checkPort();
must("run", "-dt", "--name", NAME, "-p", `${PORT}:80`, "nginx");
console.log(`\n${PAGE} says: ${titleOf(await fetchPage())}`);
const address = must("inspect", "-f", "{{.NetworkSettings.IPAddress}}", NAME);
const known = isRoot ? undefined : hostAddress();
if (known) {
  const page = await fetchFromContainer(known);
  console.log(`http://${known}:${PORT}, called from a second container, says: ${titleOf(page)}`);
}
const hints = [
  [`curl ${PAGE}`, "the published port"],
  ...(isRoot
    ? [
        [`curl http://${address}`, "the container's own address"],
        [`portolan inspect -f "{{.NetworkSettings.IPAddress}}" ${NAME}`, "where that is written"],
      ]
    : [
        [
          `portolan inspect -f "{{.NetworkSettings.IPAddress}}" ${NAME}`,
          "nothing: the host sees no address of it",
        ],
      ]),
  [`portolan exec -it ${NAME} bash`, "a shell inside; leave with Ctrl-D"],
  ...(known ? [["portolan exec -it leap bash", "one in the second container"]] : []),
  [`portolan logs ${NAME}`, "who called"],
  ["portolan ps", "what runs"],
  [`portolan rm -f ${known ? "leap " : ""}${NAME}`, "the end of it"],
];
console.log(`\nTry next${isRoot ? ", as root" : ""} (portolan is dist/portolan until \`make install\`):`);
for (const [command = "", purpose] of hints) console.log(`  ${command.padEnd(66)} ${purpose}`);
