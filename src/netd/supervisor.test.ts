/** What a supervisor does about data planes that die, with data planes that do as the test says. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { errorText } from "../base/errors.ts";
import { setLogLevel } from "../base/log.ts";
import { closeFd, waitReadable } from "../sys/fd.ts";
import { receiveFds } from "../sys/scm-rights.ts";
import { socketPair } from "../sys/socket-pair.ts";
import { decodeMessage, encodeMessage, type KeyedOrder, type NameSettings, type Request } from "./control.ts";
import { type PlaneEvents, Supervisor } from "./supervisor.ts";

const settings: NameSettings = {
  network: "red",
  container: "1",
  names: ["web"],
  addresses: [],
  outside: true,
  resolvers: [],
};
const name = (key: string): KeyedOrder => ({ op: "name", key, settings });

beforeAll(() => void setLogLevel("error"));
afterAll(() => void setLogLevel("warn"));

/** Data planes, one after the other, and what they were told: `key`, or `-key` for what was taken back. */
class Planes {
  readonly told: string[][] = [];
  readonly gone: string[] = [];
  gaveUp = 0;
  readonly supervisor: Supervisor;
  private events!: PlaneEvents;
  private ours = -1;
  private theirs = -1;
  private later: (() => void)[] = [];

  /** `judge`: what a data plane does about an order: an answer, silence, or it dies. */
  constructor(
    private readonly judge: (order: Request, life: number) => { error?: string } | "silence" | "death",
  ) {
    this.supervisor = new Supervisor(
      {
        start: events => {
          this.events = events;
          [this.ours, this.theirs] = socketPair();
          this.told.push([]);
          return { pid: this.told.length, control: this.ours, close() {} };
        },
        later: (_, action) => void this.later.push(action),
      },
      { gaveUp: () => this.gaveUp++, gone: key => this.gone.push(key) },
    );
  }

  /** Lets everybody do what is to be done. */
  async run(): Promise<void> {
    for (;;) {
      await Promise.resolve();
      const order = this.next();
      if (!order) {
        const [action] = this.later.splice(0, 1);
        if (!action) return;
        action();
        continue;
      }
      const { seq } = order;
      this.told.at(-1)!.push(order.op === "remove" ? `-${order.key}` : (order as KeyedOrder).key);
      const verdict = this.judge(order, this.told.length);
      if (verdict === "death") this.die();
      else if (verdict !== "silence") this.events.packet(encodeMessage({ seq, ...verdict }));
    }
  }

  private next(): Request | undefined {
    if (this.theirs < 0 || !waitReadable(this.theirs, 0)) return undefined;
    return decodeMessage<Request>(receiveFds(this.theirs).data);
  }

  die(): void {
    closeFd(this.ours);
    closeFd(this.theirs);
    this.theirs = -1;
    this.events.ended("for the test");
  }
}

/** Orders that are given in a row; how each ended. */
function give(planes: Planes, ...keys: string[]): Promise<string[]> {
  const orders = keys.map(key => planes.supervisor.keep(name(key), []));
  return Promise.all(orders.map(order => order.then(() => "kept", errorText)));
}

test("one order is on its way at a time, and what is refused is forgotten", async () => {
  const planes = new Planes(order => ("key" in order && order.key === "b" ? { error: "no" } : {}));
  planes.supervisor.start();
  const given = give(planes, "a", "b", "c");
  await planes.run();
  expect(await given).toEqual(["kept", "no", "kept"]);
  planes.die();
  await planes.run();
  expect(planes.told).toEqual([
    ["a", "b", "c"],
    ["a", "c"],
  ]);
});

test("an order under way, and those that wait, are told to the next data plane; what was taken back is not", async () => {
  const planes = new Planes((order, life) =>
    life === 1 && "key" in order && order.key === "b" ? "silence" : {},
  );
  planes.supervisor.start();
  const given = give(planes, "a", "b", "c", "d");
  await planes.run();
  const removed = planes.supervisor.remove("d");
  planes.die();
  await planes.run();
  await removed;
  expect(await given).toEqual(["kept", "kept", "kept", "the data plane ended: for the test"]);
  expect(planes.told).toEqual([
    ["a", "b"],
    ["a", "b", "c"],
  ]);
  expect(planes.supervisor.orders().map(order => order.key)).toEqual(["a", "b", "c"]);
});

test("resolvers are told last", async () => {
  const planes = new Planes(() => ({}));
  planes.supervisor.start();
  const resolver = { network: "red", domain: "dns.podman", internal: false, addresses: [], subnets: [] };
  const first = planes.supervisor.keep({ op: "resolver", key: "resolver", settings: resolver }, []);
  const given = give(planes, "a", "b");
  await planes.run();
  planes.die();
  await planes.run();
  await Promise.all([first, given]);
  expect(planes.told).toEqual([
    ["resolver", "a", "b"],
    ["a", "b", "resolver"],
  ]);
});

test("an order that data planes die of is refused, and the others are kept", async () => {
  const planes = new Planes(order => ("key" in order && order.key === "poison" ? "death" : {}));
  planes.supervisor.start();
  const given = give(planes, "a", "poison", "b");
  await planes.run();
  expect(await given).toEqual(["kept", "the data plane ended: for the test", "kept"]);
  expect(planes.told).toEqual([
    ["a", "poison"],
    ["a", "poison"],
    ["a", "poison"],
    ["a", "b"],
  ]);
  expect([planes.gone, planes.gaveUp]).toEqual([[], 0]);
});

test("so is one that they did not die of at first, and one that can't be carried out again", async () => {
  const planes = new Planes((order, life) => {
    const key = "key" in order ? order.key : "";
    if (life === 1) return {};
    return key === "poison" ? "death" : key === "old" ? { error: "no device" } : {};
  });
  planes.supervisor.start();
  const given = give(planes, "poison", "old", "b");
  await planes.run();
  await given;
  planes.die();
  await planes.run();
  expect(planes.gone).toEqual(["poison", "old"]);
  expect(planes.told.at(-1)).toEqual(["old", "b"]);
  expect(planes.gaveUp).toBe(0);
});

test("killed again and again before all is told, it comes again", async () => {
  const keys = ["a", "b", "c", "d"];
  const planes = new Planes((order, life) =>
    life > 1 && life < 20 && "key" in order && order.key === keys[life % 4] ? "death" : {},
  );
  planes.supervisor.start();
  const given = give(planes, ...keys);
  await planes.run();
  await given;
  planes.die();
  await planes.run();
  expect(planes.told).toHaveLength(20);
  expect(planes.told.at(-1)).toEqual(keys);
  expect([planes.gone, planes.gaveUp]).toEqual([[], 0]);
});

test("when none lives until all is told, it is given up, once", async () => {
  const planes = new Planes(() => "death");
  planes.supervisor.start();
  const given = give(planes, "a", "b", "c", "d");
  await planes.run();
  expect(planes.gaveUp).toBe(1);
  expect(await given).toEqual(Array(4).fill("the data plane ended: for the test"));
});
