/**
 * `make run`: a real web server in a container, published on port 8080, and its page fetched from there.
 *
 * The image comes from a registry where one answers soon, else it is built from Debian packages. Run by root.
 */
import { join } from "node:path";
import { buildImage } from "./images/build.ts";

const PORTOLAN = join(import.meta.dir, "../dist/portolan");
const NAME = "webserver";
const PORT = 8080;
const PAGE = `http://localhost:${PORT}`;
const IMAGE = "docker.io/library/nginx:latest";
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

/**
 * Pulls the image; false when that fails, or when no registry has said anything within `ANSWER_SECONDS`: when one
 * does, `pull` tells what it copies.
 */
async function pull(): Promise<boolean> {
  const child = Bun.spawn([PORTOLAN, "pull", IMAGE], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const giveUp = setTimeout(() => child.kill(), ANSWER_SECONDS * 1000);
  for await (const chunk of child.stderr)
    if (/^(Getting image|Copying)/m.test(new TextDecoder().decode(chunk))) clearTimeout(giveUp);
  const code = await child.exited;
  clearTimeout(giveUp);
  return code === 0;
}

async function getImage(): Promise<void> {
  if (portolan("image", "exists", IMAGE).code === 0) return;
  console.log("run: asking the registry for nginx");
  if (await pull()) return;
  console.log("run: no registry gave it; building nginx from Debian packages");
  const archive = await buildImage("nginx").catch((error: Error) => fail(error.message));
  must("load", "-q", "-i", archive);
}

/** Refuses early, and in one line, a port that is not ours to take. */
function checkPort(): void {
  try {
    Bun.listen({ hostname: "0.0.0.0", port: PORT, socket: { data() {} } }).stop(true);
  } catch {
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

if (process.getuid?.() !== 0) fail("rootful containers need root: run it by sudo");
await getImage();
if (portolan("container", "exists", NAME).code === 0) must("rm", "-f", NAME);
checkPort();
must("run", "-dt", "--name", NAME, "-p", `${PORT}:80`, "nginx");
const page = await fetchPage();
const address = must("inspect", "-f", "{{.NetworkSettings.IPAddress}}", NAME);
const title = /<title>(.*?)<\/title>/.exec(page)?.[1] ?? page.split("\n")[0];
const hints = [
  [`curl ${PAGE}`, "the published port"],
  [`curl http://${address}`, "the container's own address"],
  [`portolan inspect -f "{{.NetworkSettings.IPAddress}}" ${NAME}`, "where that is written"],
  [`portolan exec -it ${NAME} bash`, "a shell inside; leave with Ctrl-D"],
  [`portolan logs ${NAME}`, "who called"],
  ["portolan ps", "what runs"],
  [`portolan stop ${NAME}; portolan rm ${NAME}`, "the end of it"],
];
console.log(`\n${PAGE} says: ${title}\n`);
console.log("Try next, as root (portolan is dist/portolan until `make install`):");
for (const [command = "", purpose] of hints) console.log(`  ${command.padEnd(66)} ${purpose}`);
