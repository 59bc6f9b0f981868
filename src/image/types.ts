/** What an image is to the rest of the engine (OCI image-spec v1.1, config.md). */

/** The `config` object of an image configuration: what a container starts from. */
export interface ImageRuntimeConfig {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, object> | null;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  OnBuild?: string[];
  /** Docker's extension: times in nanoseconds. */
  Healthcheck?: {
    Test?: string[];
    Interval?: number;
    Timeout?: number;
    StartPeriod?: number;
    Retries?: number;
  };
}

/** The image configuration JSON. Its SHA-256 is the image's id. */
export interface ImageConfig {
  created?: string;
  author?: string;
  architecture: string;
  os: string;
  variant?: string;
  config?: ImageRuntimeConfig;
  rootfs: { type: "layers"; diff_ids: string[] };
  history?: {
    created?: string;
    created_by?: string;
    comment?: string;
    empty_layer?: boolean;
    author?: string;
  }[];
}

/** An image in the store. */
export interface ImageRecord {
  /** SHA-256 of the configuration, 64 hex digits. */
  id: string;
  /** Digest of the manifest it came by, or of the index that led there, `sha256:…`. */
  digest: string;
  /** `docker.io/library/nginx@sha256:…` for each repository it was pulled from. */
  repoDigests: string[];
  /** Full references, `docker.io/library/nginx:latest`; empty for a dangling image. */
  names: string[];
  /** RFC 3339. */
  created: string;
  /** Bytes of the unpacked layers. */
  size: number;
  /** Media type of the manifest. */
  manifestType: string;
  config: ImageConfig;
}
