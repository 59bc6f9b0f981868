/** A registry in the test's process, for the faults that a real one does not have; and images as bytes, for both. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { sha256 } from "../../src/image/store.ts";
import { until } from "../support/await.ts";

export const digestOf = (data: Uint8Array) => `sha256:${sha256(data)}`;
export const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export const describe = (data: Uint8Array, mediaType: string): Descriptor => ({
  mediaType,
  digest: digestOf(data),
  size: data.length,
});

/** An image as a registry has it: the manifest, and blobs by digest. */
export interface RawImage {
  manifest: Uint8Array;
  blobs: Map<string, Uint8Array>;
  /** Digests of the layers' blobs, bottom first. */
  layers: string[];
}

/** `layers` as they are sent; `config` as `configOf` makes it of them unpacked. */
export function rawImage(config: Uint8Array, layers: readonly Uint8Array[]): RawImage {
  const described = layers.map(layer => describe(layer, "application/vnd.oci.image.layer.v1.tar+gzip"));
  const manifest = json({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: describe(config, "application/vnd.oci.image.config.v1+json"),
    layers: described,
  });
  const blobs = new Map([config, ...layers].map(data => [digestOf(data), data]));
  return { manifest, blobs, layers: described.map(layer => layer.digest) };
}

export interface Seen {
  method: string;
  path: string;
  query: URLSearchParams;
  /** "" where there was none. */
  authorization: string;
  /** Range or Content-Range. */
  range: string;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  /** The connection breaks after so many bytes of the body, and not before `when` holds. */
  cut?: number;
  when?: () => boolean;
}

/** Serves one image as every repository and tag. `fault` may answer a request in its place. */
export class FakeRegistry implements AsyncDisposable {
  readonly requests: Seen[] = [];

  private constructor(
    private readonly image: RawImage,
    private readonly server: Server,
  ) {}

  static async start(
    image: RawImage,
    fault: (seen: Seen, body: string) => Answer | undefined | Promise<Answer | undefined> = () => undefined,
  ): Promise<FakeRegistry> {
    const server = createServer();
    const registry = new FakeRegistry(image, server);
    server.on("request", async (request, response) => {
      const { pathname, searchParams } = new URL(request.url!, "http://localhost");
      const { authorization = "" } = request.headers;
      const range = request.headers.range ?? request.headers["content-range"] ?? "";
      const seen: Seen = {
        method: request.method!,
        path: pathname,
        query: searchParams,
        authorization,
        range,
      };
      registry.requests.push(seen);
      let sent = "";
      for await (const chunk of request) sent += chunk;
      const answer = (await fault(seen, sent)) ?? registry.answer(pathname);
      const { status = 200, headers = {}, body = "", cut, when = () => true } = answer;
      const bytes = Buffer.from(body);
      response.writeHead(status, { "Content-Length": bytes.length, ...headers });
      if (cut === undefined) response.end(bytes);
      else {
        response.write(bytes.subarray(0, cut));
        await until(when, () => `${cut} bytes of ${pathname} never arrived`);
        response.destroy();
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return registry;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** What an honest registry says. */
  answer(path: string): Answer {
    if (path === "/v2/") return { body: "{}" };
    const [, kind, name] = /\/(manifests|blobs)\/([^/]+)$/.exec(path) ?? [];
    if (kind === "manifests") return { headers: { "Content-Type": MANIFEST }, body: this.image.manifest };
    const blob = kind && this.image.blobs.get(name!);
    return blob ? { body: blob } : refusal(404, "BLOB_UNKNOWN");
  }

  /** Requests for this blob. */
  of(digest: string): Seen[] {
    return this.requests.filter(({ path }) => path.endsWith(`/blobs/${digest}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export const refusal = (
  status: number,
  code: string,
  message = "",
  headers: Record<string, string> = {},
): Answer => ({ status, headers, body: JSON.stringify({ errors: [{ code, message }] }) });
