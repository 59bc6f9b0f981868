/**
 * HTTP to one registry, mostly for one repository: TLS or not, who we say we are, and redirects.
 *
 * The first request, to `/v2/`, tells whether the registry speaks HTTPS and what it wants to see (OCI distribution-spec
 * v1.1; Docker's token authentication). An insecure registry may have any certificate, and plain HTTP will do. Our
 * credentials go to the registry and to the token server that it names; a redirect to another host never takes them along.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorText, hasCode, oneLine, UserError } from "../base/errors.ts";
import type { Credentials } from "./auth.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Endpoint } from "./registries.ts";

/** How long a server may take to say anything. */
export const STALL_SECONDS = 60;
const MAX_REDIRECTS = 10;
const MAX_TOKEN_ANSWER = 1 << 20;
const CERTIFICATES = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/** A registry said no. `status` is its HTTP status. */
export class RefusedError extends UserError {}

export interface ConnectionOptions {
  /** What a token is to allow in the repository; to pull where nothing is said. */
  actions?: "pull" | "pull,push";
  /** Has the certificates in place of containers-certs.d(5)'s directories. */
  certDir?: string;
}

export interface RequestOptions {
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH";
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Makes the body, anew for each try. */
  body?: () => Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array>;
  /** What a token is to allow besides: `repository:library/alpine:pull`, `registry:catalog:*`. */
  scope?: string;
}

type Init = Omit<RequestOptions, "body" | "scope"> & {
  body?: URLSearchParams | Uint8Array<ArrayBuffer> | AsyncIterable<Uint8Array>;
};

export class Connection {
  #challenges: Challenge[] = [];
  /** By what they allow. */
  readonly #tokens = new Map<string, string>();

  private constructor(
    readonly endpoint: Endpoint,
    private readonly scheme: "https" | "http",
    private readonly credentials: Credentials | undefined,
    private readonly tls: object,
    private readonly actions: string,
  ) {}

  /** Asks the registry how it wants to be spoken to. Throws UserError when it can't be reached. */
  static async open(
    endpoint: Endpoint,
    credentials: Credentials | undefined,
    { actions = "pull", certDir }: ConnectionOptions = {},
  ): Promise<Connection> {
    const tls = { rejectUnauthorized: !endpoint.insecure, ...certificates(endpoint.host, certDir) };
    const failures: unknown[] = [];
    for (const scheme of endpoint.insecure ? (["https", "http"] as const) : (["https"] as const)) {
      const connection = new Connection(endpoint, scheme, credentials, tls, actions);
      try {
        await connection.#ping();
        return connection;
      } catch (error) {
        failures.push(error);
      }
    }
    // An insecure registry most likely means HTTP: what was said there explains more.
    throw new UserError(`pinging container registry ${endpoint.host}: ${errorText(failures.at(-1))}`, {
      cause: failures.at(-1),
    });
  }

  async #ping(): Promise<void> {
    const url = `${this.scheme}://${this.endpoint.host}/v2/`;
    const response = await this.#fetch(url, {});
    await response.body?.cancel();
    if (response.status !== 200 && response.status !== 401)
      throw new UserError(`invalid status code from registry ${response.status} (${response.statusText})`);
    this.#challenges = response.status === 401 ? challengesOf(response) : [];
  }

  /** `GET /v2/<repository>/<path>`: see `request`. */
  get(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.request(path, options);
  }

  /**
   * Asks for `/v2/<repository>/<path>`, or for another path of the registry that begins with `/`, or for the address that it
   * has named (an upload's); redirects are followed. What is no success is thrown as a RefusedError.
   */
  async request(path: string, options: RequestOptions = {}): Promise<Response> {
    const { scope } = options;
    const url = new URL(path, `${this.#origin}/v2/${this.endpoint.repository}/`).href;
    for (let again = false; ; again = true) {
      const authorization = await this.#authorization(scope);
      const response = await this.#follow(url, authorization, options);
      if (response.ok) return response;
      // A token may have run out; with a fresh one, and only then, no means no.
      if (response.status === 401 && !again && this.#tokens.delete(scope ?? "")) {
        await response.body?.cancel();
        continue;
      }
      throw new RefusedError(await refusal(response), { status: response.status });
    }
  }

  get #origin(): string {
    return `${this.scheme}://${this.endpoint.host}`;
  }

  async #follow(
    first: string,
    authorization: string | undefined,
    options: RequestOptions,
  ): Promise<Response> {
    const { method = "GET", signal } = options;
    const origin = new URL(this.#origin).origin;
    let url = first;
    for (let count = 0; count <= MAX_REDIRECTS; count++) {
      if (
        !/^https?:/.test(url) ||
        (url.startsWith("http:") && this.scheme === "https" && !this.endpoint.insecure)
      )
        throw new UserError(`the registry leads to ${url}, which is not safe to follow`);
      const own = new URL(url).origin === origin;
      const headers =
        own && authorization ? { ...options.headers, Authorization: authorization } : options.headers;
      const response = await this.#fetch(url, { method, headers, signal, body: options.body?.() });
      const location = response.headers.get("location");
      const moved = method === "GET" || method === "HEAD" ? [301, 302, 303, 307, 308] : [307, 308];
      if (!moved.includes(response.status) || !location) return response;
      await response.body?.cancel();
      url = new URL(location, url).href;
    }
    throw new UserError("the registry leads from one address to the next without an end");
  }

  async #fetch(url: string, { method = "GET", headers, signal, body }: Init) {
    try {
      return await fetch(url, {
        method,
        body: body as URLSearchParams,
        headers: { "User-Agent": "portolan", "Accept-Encoding": "identity", ...headers },
        signal: signal ?? AbortSignal.timeout(STALL_SECONDS * 1000),
        redirect: "manual",
        // What has a digest has it as it comes.
        decompress: false,
        tls: this.tls,
      });
    } catch (error) {
      const verb = method[0] + method.slice(1).toLowerCase();
      throw new UserError(`${verb} ${JSON.stringify(url)}: ${reason(error)}`, { cause: error });
    }
  }

  async #authorization(scope = ""): Promise<string | undefined> {
    const bearer = this.#challenges.find(one => one.scheme === "bearer");
    if (bearer) {
      const token = this.#tokens.get(scope) ?? (await this.#fetchToken(bearer.parameters, scope));
      this.#tokens.set(scope, token);
      return `Bearer ${token}`;
    }
    const basic = this.#challenges.some(one => one.scheme === "basic");
    return basic && this.credentials ? basicHeader(this.credentials) : undefined;
  }

  /** Docker's token protocol; with an identity token the OAuth 2 form of it. */
  async #fetchToken(challenge: Record<string, string>, more: string): Promise<string> {
    const fail = (what: string) => new UserError(`requesting bearer token: ${what}`);
    if (!URL.canParse(challenge.realm ?? "")) throw fail("the registry names no token server");
    const url = new URL(challenge.realm!);
    if (
      url.protocol !== "https:" &&
      !(url.protocol === "http:" && (this.endpoint.insecure || this.scheme === "http"))
    )
      throw fail(`the token server ${url.origin} is not safe to ask`);
    const { service } = challenge;
    const { repository } = this.endpoint;
    const scopes = [repository && `repository:${repository}:${this.actions}`, more].filter(Boolean);
    const { credentials } = this;
    let response: Response;
    if (credentials?.identityToken) {
      const body = new URLSearchParams({
        grant_type: "refresh_token",
        client_id: "portolan",
        refresh_token: credentials.identityToken,
        ...(scopes.length > 0 ? { scope: scopes.join(" ") } : {}),
        ...(service ? { service } : {}),
      });
      response = await this.#fetch(url.href, { method: "POST", body });
    } else {
      if (service) url.searchParams.set("service", service);
      for (const scope of scopes) url.searchParams.append("scope", scope);
      if (credentials) url.searchParams.set("account", credentials.username);
      const headers = credentials && { Authorization: basicHeader(credentials) };
      response = await this.#fetch(url.href, { headers });
    }
    if (response.status === 401)
      throw new RefusedError(
        `unable to retrieve auth token: invalid username/password: ${await refusal(response)}`,
        { status: 401 },
      );
    if (!response.ok)
      throw fail(`invalid status code from registry ${response.status} (${response.statusText})`);
    const answer = new TextDecoder().decode(await readAll(response, MAX_TOKEN_ANSWER));
    try {
      const { token, access_token } = JSON.parse(answer) as Record<string, unknown>;
      const found = token || access_token;
      if (typeof found === "string" && !/[\r\n]/.test(found)) return found;
    } catch {
      // Told below, as an answer without a token is.
    }
    throw fail("the token server's answer has no token");
  }
}

/** All of a body that may have at most `limit` bytes. */
export async function readAll(response: Response, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > limit) throw new UserError(`the registry's answer has more than ${limit} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

const challengesOf = (response: Response) => parseChallenges(response.headers.get("www-authenticate") ?? "");

function basicHeader({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** The registry's own words: `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`. */
async function refusal(response: Response): Promise<string> {
  try {
    const body = JSON.parse(new TextDecoder().decode(await readAll(response, MAX_TOKEN_ANSWER))) as {
      errors: { code: string; message?: string }[];
    };
    const words = body.errors.map(({ code, message }) => {
      const plain = code.toLowerCase().replaceAll("_", " ");
      return message && message.toLowerCase() !== plain ? `${plain}: ${message}` : plain;
    });
    if (words.length > 0) return oneLine(words.join("; "));
  } catch {
    // A proxy's page, or nothing: the status says it.
  }
  // So an answer to HEAD, which has no body.
  if (response.status === 401) return "unauthorized: authentication required";
  return `invalid status code from registry ${response.status} (${response.statusText})`;
}

/** Failures that another try may not meet. */
export function isPassing(error: UserError): boolean {
  return error instanceof RefusedError
    ? error.status >= 500 || error.status === 429
    : error.cause !== undefined;
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection closed by the other side",
  ENOTFOUND: "no such host",
  EPROTO:
    "the server speaks no TLS (plain HTTP is for registries that are insecure, or with --tls-verify=false)",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
};

/** What went wrong with a request, in a few words. */
export function reason(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  if (name === "TimeoutError") return `no answer within ${STALL_SECONDS} seconds`;
  return (code && REASONS[code]) || errorText(error).replace(/ *For more information, pass .*/s, "");
}

/** The authorities and the client's certificate that containers-certs.d(5) has for a host, or a directory named for it. */
function certificates(host: string, own?: string): { ca?: string[]; cert?: string; key?: string } {
  for (const directory of own === undefined ? CERTIFICATES.map(root => join(root, host)) : [own]) {
    let found: string[];
    try {
      found = readdirSync(directory);
    } catch (error) {
      if (hasCode(error, "ENOENT", "ENOTDIR")) continue;
      throw error;
    }
    const read = (suffix: string) =>
      found.filter(name => name.endsWith(suffix)).map(name => readFileSync(join(directory, name), "utf8"));
    const [ca, cert, key] = [read(".crt"), read(".cert")[0], read(".key")[0]];
    return { ...(ca.length > 0 ? { ca } : {}), ...(cert && key ? { cert, key } : {}) };
  }
  return {};
}
