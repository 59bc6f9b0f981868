import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { parsePolicy, refusalOf } from "./policy.ts";
import { parsePlace } from "./transports.ts";

const accept = [{ type: "insecureAcceptAnything" }];
const reject = [{ type: "reject" }];
const refused = (policy: unknown, place: string) =>
  refusalOf(parsePolicy(JSON.stringify(policy), "policy.json"), parsePlace(place));

describe("policy.json", () => {
  const policy = {
    default: reject,
    transports: {
      docker: {
        "docker.io/library": accept,
        "docker.io/library/bad": reject,
        "docker.io/library/bad:good": accept,
        "*.example.com": accept,
        "x.example.com": reject,
        "signed.org": [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/k" }],
      },
      "docker-archive": { "": accept },
      dir: { "/srv/images": accept },
    },
  };
  for (const [place, isAccepted] of [
    ["docker://nginx", true],
    ["bad", false],
    ["bad:good", true],
    ["docker.io/other/nginx", false],
    ["a.example.com/x", true],
    ["a.b.example.com/x", true],
    ["x.example.com/x", false],
    ["example.com/x", false],
    ["docker-archive:/tmp/x.tar", true],
    ["oci-archive:/tmp/x.tar", false],
    ["dir:/srv/images/a/b", true],
    ["dir:/srv/other", false],
  ] as const)
    test(`${isAccepted ? "accepts" : "rejects"} ${place}`, () => {
      const said = refused(policy, place);
      if (isAccepted) expect(said).toBeUndefined();
      else expect(said).toMatch(/^Running image .* is rejected by policy\.$/);
    });

  test("what must be signed is refused, and says so", () => {
    expect(refused(policy, "signed.org/x")).toBe(
      "Running image docker://signed.org/x:latest is rejected by policy: it wants signedBy, and signatures are not verified",
    );
  });

  test("a policy that is not understood is refused whole", () => {
    for (const text of [
      "",
      "[]",
      "{}",
      '{"default":[]}',
      '{"default":[{"type":"magic"}]}',
      '{"default":[{"type":"reject"}],"more":1}',
      '{"default":[{"type":"reject"}],"transports":{"docker":{"":[]}}}',
    ])
      expect(() => parsePolicy(text, "p")).toThrow(/^invalid policy in "p": [^\n]+$/);
  });

  test("any JSON is a policy or refused in one line", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), text => {
        try {
          expect(parsePolicy(text, "p").default.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          expect((error as Error).message).not.toMatch(/[\x00-\x1f]/);
        }
      }),
    );
  });
});
