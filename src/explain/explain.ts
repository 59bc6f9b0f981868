/** From facts and a question to an answer: the best of the ways that there are, or the reason why there is none. Pure. */
import { publishIt, reloadIt, startIt } from "./advice.ts";
import { type Candidate, candidates, placeOf, publishedOf } from "./candidates.ts";
import {
  type ContainerFacts,
  type Explanation,
  type Facts,
  type Party,
  type Query,
  Unseen,
  type Verdict,
} from "./facts.ts";
import { notesOn, portHolders } from "./notes.ts";
import { type Walk, walk } from "./walk.ts";
import { stop } from "./walker.ts";
import { familyOf, INTERNET, isDefault, isLoopback, linkOf, World, withPort } from "./world.ts";

/** What `work` gives, or what has to be looked at before it can give anything. */
export function attempt<T>(work: () => T): T | Unseen {
  try {
    return work();
  } catch (error) {
    if (error instanceof Unseen) return error;
    throw error;
  }
}

export const partyName = (world: World, party: Party): string =>
  party.kind === "container"
    ? (world.container(party.id)?.name ?? party.id.slice(0, 12))
    : party.kind === "address"
      ? party.text
      : party.kind;

/** Ways that get there end like this. */
const GOOD: readonly string[] = ["listens", "arrives"];

export function explainPath(facts: Facts, query: Query): Explanation | Unseen {
  return attempt(() => {
    const world = new World(facts);
    const from = partyName(world, query.from);
    const to = partyName(world, query.to);
    const answer = decide(world, query);
    const reached = answer.reached;
    const notes = notesOn(world, query, answer);
    const { address, hops, verdict } = answer;
    return { from, to, reached, address, hops, verdict, notes };
  });
}

export interface Answer {
  reached: boolean;
  /** "" where there was nothing to try. */
  address: string;
  hops: Walk["hops"];
  verdict: Verdict;
  candidate?: Candidate;
}

const refusal = (...words: Parameters<typeof stop>): Answer => ({
  reached: false,
  address: "",
  hops: [],
  ...stop(...words),
});

function decide(world: World, query: Query): Answer {
  const { from, to } = query;
  for (const party of [from, to]) {
    const container = party.kind === "container" ? world.container(party.id) : undefined;
    if (container && !container.up) return notUp(world, container);
    if (container?.status === "paused")
      return refusal(
        "paused",
        `${container.name} is paused: nothing in it speaks`,
        `portolan unpause ${container.name}`,
      );
  }
  if (from.kind === "internet" && to.kind === "internet")
    return refusal("not-seen", "both ends are outside: nothing of this host is between them");
  const ways = candidates(world, query);
  if (ways.length === 0) return noWay(world, query);
  let best: { answer: Answer; rank: number } | undefined;
  for (const candidate of ways) {
    const { answer, rank } = tryOut(world, query, candidate);
    if (answer.reached) return answer;
    if (!best || rank > best.rank) best = { answer, rank };
  }
  return best!.answer;
}

function notUp(world: World, container: ContainerFacts): Answer {
  const { name, sharedWith } = container;
  const answer = refusal(
    "not-running",
    `${name} is not running`,
    startIt(container),
    ...portHolders(world, container),
  );
  if (container.status === "running" && sharedWith)
    answer.verdict.text = `${name} uses the network of ${sharedWith}, which is not running`;
  return answer;
}

/** Walks one way. The higher the rank, the more a way that fails has to tell. */
function tryOut(world: World, query: Query, candidate: Candidate): { answer: Answer; rank: number } {
  const { from, to, protocol } = query;
  const { ip, port } = candidate;
  const start = placeOf(world, from);
  const isOutside = from.kind === "internet";
  const family = ip === INTERNET[6] || familyOf(ip) === 6 ? 6 : 4;
  const walked = walk(world, {
    place: start,
    destination: ip,
    port: to.kind === "internet" ? undefined : port,
    protocol,
    source: isOutside ? INTERNET[family] : "",
    arrivedBy: isOutside ? outerLink(world) : "",
    published: false,
  });
  const target = to.kind === "container" ? world.container(to.id) : undefined;
  const { hops } = walked;
  let { verdict } = walked;
  const goal = target?.place;
  const inside = world.atAddress(ip);
  const { published } = candidate;
  if (verdict.code === "leaves" && (target || inside?.place))
    verdict = strayed(world, query, target ?? inside!, ip);
  const isGood = GOOD.includes(verdict.code) || (verdict.code === "leaves" && target === undefined);
  const isThere = goal === undefined || walked.place === goal;
  if (published && !(isGood && isThere)) {
    // A published port goes on before any socket of the host's is asked: conmon's there only keeps it from others.
    const isLost =
      (verdict.code === "no-listener" || verdict.code === "listens") &&
      (walked.place === "host" || walked.place === "home");
    if (walked.place !== goal) verdict = publishedNowhere(query, target!, candidate, isLost) ?? verdict;
  }
  const reached = isGood && isThere;
  const address = ip === INTERNET[4] || ip === INTERNET[6] ? "" : withPort(ip, port);
  return {
    answer: { reached, address, hops, verdict, candidate },
    rank: (walked.place === goal ? 4 : 0) + (candidate.network ? 2 : 0) + (published ? 1 : 0),
  };
}

/** By which the world comes in. */
function outerLink(world: World): string {
  const host = world.find("host");
  const index = host?.routes.find(isDefault)?.index;
  return (host && index && linkOf(host, index)?.name) || "outside";
}

/** It was for a container and has left for the world. */
function strayed(world: World, { port }: Query, target: ContainerFacts, ip: string): Verdict {
  const { name, attachments, networks } = target;
  const closed = networks.find(one =>
    world.facts.networks.some(({ name, internal }) => name === one && internal),
  );
  const network = attachments.find(one => one.ipv4 === ip || one.ipv6 === ip)?.network;
  const isInside = world.facts.rootless;
  const publish = port === undefined ? "publish a port of it (-p)" : publishIt(target, `${port}:${port}`);
  return stop(
    "no-route",
    isInside
      ? `${ip} is the address of ${name} in your network namespace: the host has no route to it`
      : `the host has no route to ${name} at ${ip}${closed && network ? `: ${network} is internal` : ""}`,
    ...(closed ? [] : [publish]),
  ).verdict;
}

/** A port that the engine has published, and yet not for this caller. `isLost`: nobody at all knows of it. */
function publishedNowhere(
  { from }: Query,
  target: ContainerFacts,
  { published, port }: Candidate,
  isLost: boolean,
): Verdict | undefined {
  const { name } = target;
  const { hostIp, containerPort } = published!;
  if (isLoopback(hostIp) && from.kind !== "host")
    return stop(
      "not-published",
      `${name} publishes ${containerPort} on ${hostIp} only: callers from outside do not reach it`,
      publishIt(target, `${port}:${containerPort}`),
    ).verdict;
  if (!isLost) return undefined;
  return stop(
    "not-published",
    `port ${port} of the host was published for ${name}, and that is lost`,
    reloadIt(target),
  ).verdict;
}

/** There is no address to try. */
function noWay(world: World, query: Query): Answer {
  const { from, to, port } = query;
  if (to.kind === "address")
    return refusal(
      "unknown-name",
      `no container is called ${to.text}, and the host's resolver does not know the name`,
    );
  if (to.kind !== "container")
    return refusal("no-network", "the host has no address but its loopback's", "give it one");
  const target = world.container(to.id)!;
  const owner = world.ownerOf(target.place) ?? target;
  const { name } = target;
  if (owner.mode === "none")
    return refusal("no-network", `${name} has no network (--network none): nobody reaches it`);
  if (owner.mode === "ns")
    return refusal(
      "not-seen",
      `${name} is in ${target.place.slice(3)}, which is not ours: how to get there can't be told`,
    );
  const together = from.kind === "container" ? ", or put both on one network" : "";
  const isOutside = from.kind === "internet" || from.kind === "host" || from.kind === "address";
  if (isOutside && target.place === "host")
    return refusal("no-network", "the host has no address but its loopback's");
  const start = publishIt(owner, port === undefined ? "HOSTPORT:PORT" : `${port}:${port}`);
  const leads = owner.ports.find(
    one => port !== undefined && port >= one.hostPort && port < one.hostPort + one.range,
  );
  if (leads) {
    const inner = leads.containerPort + port! - leads.hostPort;
    return refusal(
      "not-published",
      `${name} does not publish its port ${port}: ${port} is the host's, and leads to ${inner}`,
      `ask for ${name}:${inner}`,
    );
  }
  const all = publishedOf(owner, { ...query, port: undefined } as Query).map(
    one => one.mapping.containerPort,
  );
  const what =
    all.length > 0 && port !== undefined
      ? `${name} publishes ${all.join(", ")}, not ${port}`
      : `${name} publishes no port`;
  return refusal("not-published", what, `${start}${together}`);
}
