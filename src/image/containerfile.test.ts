import { expect, test } from "bun:test";
import fc from "fast-check";
import { imagesAskedFor } from "./containerfile.ts";

test("images of FROM, of --from and of mounts; stages, their numbers and scratch are none", () => {
  const text = `# syntax=docker/dockerfile:1
FROM --platform=linux/amd64 golang:1.22 AS Build
RUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c make
from scratch
COPY --chown=1:1 --from=build /a /b
COPY --from=0 /a /b
COPY --from=quay.io/x/y@sha256:${"0".repeat(64)} /a /b
FROM build
`;
  expect(imagesAskedFor(text)).toEqual(["golang:1.22", "tools", `quay.io/x/y@sha256:${"0".repeat(64)}`]);
  expect(imagesAskedFor(text, { from: "mine", others: ["tools"] })[0]).toBe("mine");
  expect(imagesAskedFor(text, { others: ["tools"] })).not.toContain("tools");
});

test("variables have the values of ARG, or of the build arguments where an ARG names them", () => {
  const text = `ARG BASE=one TAG="v 1"
ARG FULL=\${BASE}:\${NONE:-latest}
FROM $FULL
ARG BASE=other
ARG TOOL
COPY --from=$TOOL /a /b
FROM \${BASE}\${TAG:+:v2}
`;
  expect(imagesAskedFor(text)).toEqual(["one:latest", "one:v2"]);
  const args = new Map([
    ["BASE", "two"],
    ["TOOL", "tool"],
    ["NONE", "not declared"],
  ]);
  expect(imagesAskedFor(text, { args })).toEqual(["two:latest", "tool", "two:v2"]);
});

test("lines go on over comments, by the escape that the first line names", () => {
  expect(imagesAskedFor("FROM \\\n# why\n  one \\\n AS x\nFROM x\nFROM two")).toEqual(["one", "two"]);
  expect(imagesAskedFor("# escape=`\nFROM `\n one\nRUN dir c:\\\nFROM two\n")).toEqual(["one", "two"]);
});

test("any text has an answer; what FROM names is found whatever stands around it", () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom("ARG A=$A", "FROM", "COPY --from=", "RUN --mount=,from=", '"', `FROM \${A:-\${B}}`),
  );
  fc.assert(
    fc.property(fc.array(line), lines => {
      for (const name of imagesAskedFor(lines.join("\n"))) expect(name).not.toBe("");
    }),
  );
  const harmless = fc.constantFrom("", "# FROM no", "RUN a && \\\n b", "ENV A=b", "LABEL x='FROM no'");
  fc.assert(
    fc.property(fc.array(harmless), fc.array(harmless), (before, after) => {
      expect(imagesAskedFor([...before, "FROM yes", ...after].join("\n"))).toEqual(["yes"]);
    }),
  );
});
