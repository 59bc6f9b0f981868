import { existsSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { authFilePath, type Credentials, findCredentials } from "../../image/auth.ts";
import {
  checkLogin,
  type LoginTarget,
  loginTarget,
  removeLogin,
  storedLogin,
  storeLogin,
} from "../../image/login.ts";
import { type Command, type Invocation, print, requireArgs } from "../command.ts";
import { AUTHFILE, askName, askPassword, CERT_DIR, TLS_VERIFY } from "../registry-flags.ts";

export const login: Command = {
  summary: "Login to a container registry",
  usage: "[options] [REGISTRY]",
  flags: [
    AUTHFILE,
    CERT_DIR,
    { long: "get-login", kind: "bool", help: "Return the current login user for the registry" },
    { long: "password", short: "p", kind: "string", help: "Password for registry" },
    { long: "password-stdin", kind: "bool", help: "Take the password from stdin" },
    TLS_VERIFY,
    { long: "username", short: "u", kind: "string", help: "Username for registry" },
    { long: "verbose", short: "v", kind: "bool", help: "Write more detailed information to stdout" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 0, 1);
    const target = loginTarget(args[0]);
    const path = authFilePath(flags.string("authfile"));
    const known = storedLogin(path, target) ?? elsewhere(target, flags.string("authfile"));
    if (flags.bool("get-login")) {
      if (!known) throw new UserError(`not logged into ${target.key}`);
      print(known.username);
      return;
    }
    const options = { certDir: flags.string("cert-dir"), tlsVerify: flags.optionalBool("tls-verify") };
    const isAsked = flags.has("username") || flags.has("password") || flags.bool("password-stdin");
    if (known && !isAsked) {
      print(`Authenticating with existing credentials for ${target.key}`);
      if (await checkLogin(target, known, options)) {
        print(`Existing credentials are valid. Already logged in to ${target.registry}`);
        return;
      }
      print("Existing credentials are invalid, please enter valid username and password");
    }
    const credentials = await typed(invocation, known?.username);
    if (!(await checkLogin(target, credentials, options)))
      throw new UserError(`logging into ${JSON.stringify(target.registry)}: invalid username/password`);
    storeLogin(path, target, credentials);
    if (flags.bool("verbose")) print(`Used:  ${path}`);
    print("Login Succeeded!");
  },
};

/** What other files, and credential helpers, know. */
function elsewhere({ key, registry }: LoginTarget, authFile: string | undefined): Credentials | undefined {
  if (authFile !== undefined) return undefined;
  const repository = key.slice(registry.length + 1);
  return repository ? undefined : findCredentials({ registry, repository });
}

async function typed({ flags }: Invocation, known: string | undefined): Promise<Credentials> {
  if (flags.bool("password-stdin")) {
    if (flags.has("password")) throw new UserError("Can't specify both --password-stdin and --password");
    const username = flags.string("username");
    if (!username) throw new UserError("Must provide --username with --password-stdin");
    return { username, password: (await Bun.stdin.text()).replace(/[\r\n]+$/, "") };
  }
  const username = flags.string("username") || askName(known);
  if (!username) throw new UserError("getting username and password: no user name was given");
  return { username, password: flags.string("password") ?? askPassword() };
}

export const logout: Command = {
  summary: "Logout of a container registry",
  usage: "[options] [REGISTRY]",
  flags: [
    { long: "all", short: "a", kind: "bool", help: "Remove the cached credentials for all registries" },
    AUTHFILE,
  ],
  run(invocation) {
    const { flags, args } = invocation;
    requireArgs(invocation, 0, 1);
    const named = flags.string("authfile");
    if (named !== undefined && !existsSync(named))
      throw new UserError(`checking authfile: stat ${named}: no such file or directory`);
    const path = authFilePath(named);
    if (flags.bool("all")) {
      if (args.length > 0) throw new UserError("--all takes no arguments");
      removeLogin(path, "all");
      print("Removed login credentials for all registries");
      return;
    }
    const target = loginTarget(args[0]);
    if (removeLogin(path, target)) print(`Removed login credentials for ${target.key}`);
    else if (elsewhere(target, named))
      print(
        `Not logged into ${target.key} with current tool. Existing credentials were established via docker login. Please use docker logout instead.`,
      );
    else throw new UserError(`not logged into ${target.key}`);
    return undefined;
  },
};
