/** Flags of the verbs that speak to a registry, and what they ask of a person. */
import { readSync } from "node:fs";
import { UserError } from "../base/errors.ts";
import { writeOut } from "../base/stdio.ts";
import type { Credentials } from "../image/auth.ts";
import type { Flag } from "./flags.ts";

export const AUTHFILE: Flag = {
  long: "authfile",
  kind: "string",
  help: "Path of the authentication file",
  complete: "file",
};
export const CERT_DIR: Flag = {
  long: "cert-dir",
  kind: "string",
  help: "Path of a directory with TLS certificates and keys",
  complete: "file",
};
export const TLS_VERIFY: Flag = {
  long: "tls-verify",
  kind: "bool",
  help: "Require HTTPS and verify certificates when contacting registries",
};
export const CREDS: Flag = {
  long: "creds",
  kind: "string",
  help: "Credentials (USERNAME:PASSWORD) to use for authenticating to a registry",
};

/** `--creds`: what is missing is asked for. */
export function readCredentials(text: string | undefined): Credentials | undefined {
  if (text === undefined) return undefined;
  const colon = text.indexOf(":");
  const username = (colon < 0 ? text : text.slice(0, colon)) || askName();
  const password = colon < 0 ? askPassword() : text.slice(colon + 1);
  return { username, password };
}

/** Asks for a user name; `known` stands where nothing is typed. */
export function askName(known = ""): string {
  writeOut(known ? `Username (${known}): ` : "Username: ");
  return readLine().trim() || known;
}

/** Asks on the terminal for a password, which is not shown. Throws UserError where there is no terminal. */
export function askPassword(): string {
  if (!process.stdin.isTTY) {
    writeOut("Password: ");
    throw new UserError("getting username and password: reading password: standard input is not a terminal", {
      hint: "use --password-stdin",
    });
  }
  // Before the prompt, or a fast typist's password would show.
  Bun.spawnSync(["stty", "-echo"], { stdin: "inherit" });
  try {
    writeOut("Password: ");
    return readLine();
  } finally {
    Bun.spawnSync(["stty", "echo"], { stdin: "inherit" });
    writeOut("\n");
  }
}

/** A line of standard input, of which no byte more is taken. */
function readLine(): string {
  const bytes: number[] = [];
  const byte = new Uint8Array(1);
  while (readSync(0, byte) === 1 && byte[0] !== 0x0a) bytes.push(byte[0]!);
  return Buffer.from(bytes).toString().replace(/\r$/, "");
}
