import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parseContainersConf, readContainersConf } from "./conf.ts";

function inTree(files: Record<string, string>, fn: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "portolan-conf-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    fn(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("later files speak over earlier ones, field by field", () => {
  inTree(
    {
      "usr/share/containers/containers.conf": `
[containers]
default_capabilities = [
  "CHOWN", # may be said again
  "KILL",
]
pids_limit = 100
[engine.runtimes]
runc = ["/usr/bin/runc"]
`,
      "etc/containers/containers.conf": '[containers]\npids_limit = 200\n[engine]\nruntime = "runc"\n',
      "etc/containers/containers.conf.d/20-b.conf": "[containers]\npids_limit = 400\n",
      "etc/containers/containers.conf.d/10-a.conf": '[containers]\npids_limit = 300\ntz = "UTC"\n',
      "etc/containers/containers.conf.d/README": "not TOML",
    },
    root => {
      const conf = readContainersConf({}, root);
      expect(conf.containers).toEqual({
        default_capabilities: ["CHOWN", "KILL"],
        pids_limit: 400,
        tz: "UTC",
      });
      expect(conf.engine).toEqual({ runtime: "runc", runtimes: { runc: ["/usr/bin/runc"] } });
    },
  );
});

test("CONTAINERS_CONF stands alone, CONTAINERS_CONF_OVERRIDE comes last, and both must be there", () => {
  inTree(
    {
      "etc/containers/containers.conf": '[containers]\ntz = "UTC"\n',
      own: "[containers]\npids_limit = 1\nshm_size = '1m'",
      last: "[containers]\npids_limit = 2",
    },
    root => {
      const [own, last] = [join(root, "own"), join(root, "last")];
      expect(readContainersConf({ CONTAINERS_CONF: own }, root).containers).toEqual({
        pids_limit: 1,
        shm_size: "1m",
      });
      const both = readContainersConf({ CONTAINERS_CONF: own, CONTAINERS_CONF_OVERRIDE: last }, root);
      expect(both.containers).toEqual({ pids_limit: 2, shm_size: "1m" });
      expect(() => readContainersConf({ CONTAINERS_CONF: `${own}-not` }, root)).toThrow(
        `CONTAINERS_CONF file: open ${own}-not: no such file or directory`,
      );
    },
  );
});

test("what is no configuration is refused in one line that names the file", () => {
  const refusal = (text: string) => {
    try {
      parseContainersConf(text, "/x.conf");
    } catch (error) {
      return (error as UserError).message;
    }
    return "taken";
  };
  expect(refusal("[containers]\npids_limit = \n")).toStartWith("decoding configuration /x.conf: toml: ");
  expect(refusal('[containers]\npids_limit = "many"')).toBe(
    "decoding configuration /x.conf: containers.pids_limit must be a whole number",
  );
  expect(refusal("[engine.runtimes]\nrunc = 3")).toBe(
    "decoding configuration /x.conf: engine.runtimes must be a table of lists of strings",
  );
  expect(refusal("engine = 3")).toBe("decoding configuration /x.conf: engine must be a table");
  expect(refusal("[machine]\ncpus = 'any'\n[containers]\nfuture_field = 1")).toBe("taken");
});

test("no text brings anything but a configuration or a refusal", () => {
  const word = fc.constantFrom(
    ..."[]{}=\"'\n#.,",
    "containers",
    "pids_limit",
    "env",
    "\\",
    "1",
    "e",
    "-",
    "\u0000",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 24 }), words => {
      try {
        parseContainersConf(words.join(""), "/x.conf");
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).not.toContain("\n");
      }
    }),
  );
});
