import { expect, test } from "bun:test";
import fc from "fast-check";
import { UserError } from "../base/errors.ts";
import { changedConfig } from "./config-changes.ts";

test("every instruction has its effect", () => {
  const changes = [
    ...["CMD foo bar", 'ENTRYPOINT ["/bin/sh","-c"]', "ENV X=1", 'ENV "Y"="a b"', "ENV X=2", "EXPOSE 80"],
    ...[
      "EXPOSE=53/UDP",
      "label a=b=c",
      "ONBUILD RUN x",
      "STOPSIGNAL INT",
      "USER me",
      "VOLUME /v /w",
      'VOLUME ["/x"]',
    ],
    ...["WORKDIR /a", "WORKDIR b"],
  ];
  expect(changedConfig({ Env: ["PATH=/bin", "Z=0"] }, changes)).toEqual({
    Cmd: ["/bin/sh", "-c", "foo bar"],
    Entrypoint: ["/bin/sh", "-c"],
    Env: ["PATH=/bin", "Z=0", "Y=a b", "X=2"],
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Labels: { a: "b=c" },
    OnBuild: ["RUN x"],
    StopSignal: "2",
    User: "me",
    Volumes: { "/v": {}, "/w": {}, "/x": {} },
    WorkingDir: "/a/b",
  });
});

test("what can't be is refused in Podman's words, and nothing else is thrown", () => {
  const refused = (change: string) => expect(() => changedConfig({}, [change]));
  refused("CMD").toThrow('invalid change "CMD" - must be formatted as KEY VALUE');
  refused("BOGUS x").toThrow('invalid change "BOGUS x" - invalid instruction BOGUS');
  refused("constructor x").toThrow("invalid instruction CONSTRUCTOR");
  refused("EXPOSE 0").toThrow("must be a valid port number");
  refused("EXPOSE 1/icmp").toThrow("protocol must be TCP or UDP");
  const word = fc.constantFrom(
    "CMD",
    "ENV",
    "EXPOSE",
    "LABEL",
    "USER",
    "VOLUME",
    "WORKDIR",
    "STOPSIGNAL",
    "x",
    "",
  );
  fc.assert(
    fc.property(word, fc.constantFrom(" ", "=", ""), fc.string(), (name, separator, value) => {
      const base = { Env: ["A=1"] };
      try {
        changedConfig(base, [`${name}${separator}${value}`]);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
      expect(base).toEqual({ Env: ["A=1"] });
    }),
  );
});
