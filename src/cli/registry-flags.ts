/** Flags of the verbs that speak to a registry, and what they ask of a person. */
import { UserError } from "../base/errors.ts";
import { writeOut } from "../base/stdio.ts";
import type { Credentials } from "../image/auth.ts";
import type { Flag } from "./flags.ts";

export const AUTHFILE: Flag = {
  long: "authfile",
  kind: "string",
  help: "Path of the authentication file",
};
export const CERT_DIR: Flag = {
  long: "cert-dir",
  kind: "string",
  help: "Path of a directory with TLS certificates and keys",
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
export async function readCredentials(text: string | undefined): Promise<Credentials | undefined> {
  if (text === undefined) return undefined;
  const colon = text.indexOf(":");
  const username = (colon < 0 ? text : text.slice(0, colon)) || (await askName());
  const password = colon < 0 ? await askPassword() : text.slice(colon + 1);
  return { username, password };
}

/** Asks for a user name; `known` stands where nothing is typed. */
export async function askName(known = ""): Promise<string> {
  writeOut(known ? `Username (${known}): ` : "Username: ");
  return (await readLine()).trim() || known;
}

/** Asks on the terminal for a password, which is not shown. Throws UserError where there is no terminal. */
export async function askPassword(): Promise<string> {
  writeOut("Password: ");
  if (!process.stdin.isTTY)
    throw new UserError("reading password: standard input is not a terminal", {
      hint: "use --password-stdin",
    });
  // Typed signals still work; only the echo is off.
  Bun.spawnSync(["stty", "-echo"], { stdin: "inherit" });
  try {
    return await readLine();
  } finally {
    Bun.spawnSync(["stty", "echo"], { stdin: "inherit" });
    writeOut("\n");
  }
}

async function readLine(): Promise<string> {
  for await (const line of console) return line;
  return "";
}
