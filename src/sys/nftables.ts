/**
 * libnftables (libnftables(3)): rulesets in and out as JSON, one transaction a call, no process started.
 *
 * A context acts on the network namespace in which it was made, for as long as it lives: open one inside
 * `netns.run` to act on another namespace.
 */
import { CString, dlopen, type Pointer } from "bun:ffi";
import { UserError } from "../base/errors.ts";
import { cstr } from "./mem.ts";

const NFT_CTX_OUTPUT_JSON = 16;
/** Protocols as numbers: their names cost a look into /etc/protocols for each element. */
const NFT_CTX_OUTPUT_NUMERIC_PROTO = 128;

type Library = ReturnType<typeof load>;
let library: Library | undefined;

function load() {
  try {
    return dlopen("libnftables.so.1", {
      nft_ctx_new: { args: ["u32"], returns: "ptr" },
      nft_ctx_free: { args: ["ptr"], returns: "void" },
      nft_ctx_output_set_flags: { args: ["ptr", "u32"], returns: "void" },
      nft_ctx_buffer_output: { args: ["ptr"], returns: "i32" },
      nft_ctx_buffer_error: { args: ["ptr"], returns: "i32" },
      nft_ctx_get_output_buffer: { args: ["ptr"], returns: "ptr" },
      nft_ctx_get_error_buffer: { args: ["ptr"], returns: "ptr" },
      nft_run_cmd_from_buffer: { args: ["ptr", "ptr"], returns: "i32" },
    }).symbols;
  } catch (error) {
    throw new UserError("libnftables.so.1 can't be loaded", {
      hint: "install the package libnftables1",
      cause: error,
    });
  }
}

export interface NftReply {
  ok: boolean;
  output: string;
  /** The kernel's or the parser's words when `ok` is false. */
  error: string;
}

/** A libnftables context. */
export class NftContext implements Disposable {
  #library: Library;
  #context: Pointer | null;

  constructor() {
    library ??= load();
    this.#library = library;
    this.#context = library.nft_ctx_new(0) as Pointer | null;
    library.nft_ctx_output_set_flags(this.#context, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PROTO);
    library.nft_ctx_buffer_output(this.#context);
    library.nft_ctx_buffer_error(this.#context);
  }

  /** Runs one command text (JSON or nft syntax) as one transaction. */
  run(command: string): NftReply {
    if (this.#context === null) throw new UserError("the nftables context is closed");
    const result = this.#library.nft_run_cmd_from_buffer(this.#context, cstr(command));
    const text = (pointer: Pointer | null) => (pointer === null ? "" : new CString(pointer).toString());
    return {
      ok: result === 0,
      output: text(this.#library.nft_ctx_get_output_buffer(this.#context) as Pointer | null),
      error: text(this.#library.nft_ctx_get_error_buffer(this.#context) as Pointer | null).trim(),
    };
  }

  [Symbol.dispose](): void {
    if (this.#context !== null) this.#library.nft_ctx_free(this.#context);
    this.#context = null;
  }
}
