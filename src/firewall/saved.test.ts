import { expect, test } from "bun:test";
import fc from "fast-check";
import { forwardLines, isolationLines } from "./iptables-forward.ts";
import { masqueradeLines, portLines } from "./iptables-rules.ts";
import { attachmentHash, chainOf, masqueradeComment } from "./rule-owner.ts";
import { dropChain, leadsTo, parseSaved, script, undo, word } from "./saved.ts";

const owner = { network: "net", containerId: "ctr1", ifName: "eth0" };
const target = { version: 4, address: "10.77.0.2", network: { address: "10.77.0.0", length: 24 } } as const;
const empty = () => parseSaved("");

test("chains and comments have the names that Go's plugins v1.1.1 and v1.9.1 were seen to give", () => {
  expect(chainOf("", owner)).toBe("CNI-d6582c1bc68a643f9d826829");
  expect(chainOf("DN-", owner)).toBe("CNI-DN-d6582c1bc68a643f9d826");
  expect(attachmentHash(owner)).toBe("a4861f4ae9f7d238-7883a6f9ce71eedb");
  expect(masqueradeComment(owner)).toBe("a4861f4ae9f7d238-7883a6f9ce71eedb, net: net, if: eth0, id: ctr1");
  expect(masqueradeComment({ ...owner, network: "n".repeat(200) })).toHaveLength(128);
});

/** What iptables would have after a script: enough of it for scripts that only add, insert, delete, flush and name. */
function after(saved: ReturnType<typeof parseSaved>, table: "nat" | "filter", lines: readonly string[]) {
  const { chains, rules } = saved[table];
  for (const line of lines) {
    const [verb, chain = ""] = line.split(" ");
    if (verb?.startsWith(":")) {
      chains.add(verb.slice(1));
      rules.splice(0, rules.length, ...rules.filter(rule => rule.split(" ")[1] !== verb.slice(1)));
    } else if (verb === "-A") rules.push(line);
    else if (verb === "-I") rules.unshift(line.replace(/^-I (\S+)( 1)?/, "-A $1"));
    else if (verb === "-D") rules.splice(rules.indexOf(line.replace(/^-D/, "-A")), 1);
    else if (verb === "-F")
      rules.splice(0, rules.length, ...rules.filter(rule => rule.split(" ")[1] !== chain));
    else if (verb === "-X") chains.delete(chain);
    else throw new Error(line);
  }
  return saved;
}

const port = fc.record({
  protocol: fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const),
  hostPort: fc.integer({ min: 1, max: 60000 }),
  containerPort: fc.integer({ min: 1, max: 60000 }),
  count: fc.integer({ min: 1, max: 4 }),
});
const how = {
  snat: true,
  masqueradeAll: false,
  markBit: 13,
  conditions: { 4: [], 6: [] },
};

test("publishing twice is publishing once, and dropping a chain leaves the shared ones alone", () => {
  fc.assert(
    fc.property(fc.array(port, { minLength: 1, maxLength: 40 }), ports => {
      const publish = (saved: ReturnType<typeof parseSaved>) =>
        after(saved, "nat", portLines(saved.nat, owner, target, ports, how));
      const once = publish(empty());
      const rules = [...once.nat.rules].sort();
      expect([...publish(once).nat.rules].sort()).toEqual(rules);
      const chain = chainOf("DN-", owner);
      expect(leadsTo(once.nat, "CNI-HOSTPORT-DNAT", chain)).toBe(true);
      const gone = after(once, "nat", dropChain(once.nat, chain));
      expect(gone.nat.rules.filter(rule => rule.includes(chain))).toEqual([]);
      expect([...gone.nat.chains].sort()).toEqual([
        "CNI-HOSTPORT-DNAT",
        "CNI-HOSTPORT-MASQ",
        "CNI-HOSTPORT-SETMARK",
      ]);
    }),
  );
});

test("no rule of multiport has more than 15 ports, where a range counts as two", () => {
  fc.assert(
    fc.property(fc.array(port, { minLength: 1, maxLength: 60 }), ports => {
      for (const line of portLines(empty().nat, owner, target, ports, how)) {
        const list = / --dports (\S+) /.exec(line)?.[1]?.split(",") ?? [];
        expect(list.reduce((sum, one) => sum + (one.includes(":") ? 2 : 1), 0)).toBeLessThanOrEqual(15);
      }
    }),
  );
});

test("what is there already is not added: masquerading, forwarding, isolation", () => {
  const saved = empty();
  after(saved, "nat", masqueradeLines(saved.nat, owner, [target]));
  const before = [...saved.nat.rules].sort();
  after(saved, "nat", masqueradeLines(saved.nat, owner, [target]));
  expect([...saved.nat.rules].sort()).toEqual(before);
  after(saved, "filter", forwardLines(saved.filter, [target], "CNI-ADMIN"));
  expect(forwardLines(saved.filter, [target], "CNI-ADMIN")).toEqual([]);
  after(saved, "filter", isolationLines(saved.filter, "br0", "isolated"));
  expect(isolationLines(saved.filter, "br0", "isolated")).toEqual([]);
});

test("any text is read as what it has of tables, chains and rules", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 100 }), text => {
      const { nat, filter } = parseSaved(text);
      expect(nat.rules.length + filter.rules.length).toBeLessThanOrEqual(text.split("\n").length);
    }),
  );
  const line = fc.stringMatching(/^-A [A-Z-]{1,20} -s 10\.0\.0\.[0-9] -j [A-Z]{1,10}$/);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), fc.array(line, { maxLength: 5 }), (nat, filter) => {
      const saved = parseSaved(script({ nat, filter }));
      expect([saved.nat.rules, saved.filter.rules]).toEqual([nat, filter]);
      for (const rule of nat) expect(undo(rule)).toBe(`-D${rule.slice(2)}`);
    }),
  );
});

test("words are quoted as iptables-save quotes", () => {
  expect(word('name: "net" id: "ctr1"')).toBe('"name: \\"net\\" id: \\"ctr1\\""');
  expect([word("192.0.2.0/24"), word("!"), word("a b")]).toEqual(["192.0.2.0/24", "!", '"a b"']);
});
