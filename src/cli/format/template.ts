/**
 * Go templates, executed (text/template of Go 1.21). Plain objects are structs, whose unknown fields are an error, except
 * where `asMap` or the name of the field says that they are maps; arrays are slices.
 */
import { UserError } from "../../base/errors.ts";
import { asMap, GoTime, goString, isMap, isObject } from "./go-print.ts";
import { FUNCTION_NAMES, FUNCTIONS, isTrue } from "./template-functions.ts";
import {
  type Call,
  type Expression,
  type Node,
  type Pipeline,
  parseTemplate,
  type Template,
} from "./template-parse.ts";

/** Fields whose objects are maps in Podman's own structures. */
const MAP_FIELDS = new Set([
  ...[
    "Labels",
    "Annotations",
    "Ports",
    "PortBindings",
    "Networks",
    "Options",
    "Volumes",
    "ExposedPorts",
    "Data",
  ],
  ...[
    "DriverOpts",
    "Sysctls",
    "Tmpfs",
    "Attributes",
    "LogOpts",
    "BlkioWeightDevice",
    "labels",
    "options",
    "ipam_options",
  ],
]);

/** Those that are nil in Go where JSON leaves them out. */
const NIL_MAP_FIELDS = new Set(["Networks"]);

/** Fields that are pointers in Go: where JSON leaves them out they are nil. */
const POINTER_FIELDS = new Set(["Healthcheck"]);

/** Fields that are times in Podman's own structures, and RFC 3339 in its JSON. */
const TIME_FIELDS = new Set(["Created", "CreatedAt", "StartedAt", "FinishedAt"]);

class Leave extends Error {
  constructor(readonly how: "break" | "continue") {
    super();
  }
}

interface Scope {
  dot: unknown;
  variables: Map<string, { value: unknown }>;
}

export class CompiledTemplate {
  readonly #template: Template;
  #output = "";

  constructor(name: string, source: string) {
    this.#template = parseTemplate(name, source, FUNCTION_NAMES);
  }

  /** The text for `data`. Throws a UserError that says where and why, in Go's words. */
  execute(data: unknown): string {
    this.#output = "";
    this.#run(this.#template.body, { dot: data, variables: new Map([["$", { value: data }]]) }, 0);
    return this.#output;
  }

  #fail(pipeline: Pipeline, reason: string): UserError {
    const { name } = this.#template;
    return new UserError(
      `template: ${name}:${pipeline.line}: executing ${JSON.stringify(name)} at <${pipeline.text}>: ${reason}`,
    );
  }

  #run(nodes: readonly Node[], scope: Scope, depth: number): void {
    for (const node of nodes) {
      switch (node.kind) {
        case "text":
          this.#output += node.text;
          break;
        case "action": {
          const value = this.#pipeline(node.pipeline, scope);
          if (node.pipeline.variables.length === 0) this.#output += goString(value);
          break;
        }
        case "if":
        case "with": {
          const inner = { dot: scope.dot, variables: new Map(scope.variables) };
          const value = this.#pipeline(node.pipeline, inner);
          if (isTrue(value))
            this.#run(node.body, node.kind === "with" ? { ...inner, dot: value } : inner, depth);
          else this.#run(node.otherwise, inner, depth);
          break;
        }
        case "range":
          this.#range(node, scope, depth);
          break;
        case "template": {
          const body = this.#template.defined.get(node.name);
          if (!body)
            throw new UserError(
              `template: ${this.#template.name}: template ${JSON.stringify(node.name)} not defined`,
            );
          if (depth > 1000)
            throw new UserError(`template: ${this.#template.name}: exceeded maximum template depth (1000)`);
          const dot = node.pipeline ? this.#pipeline(node.pipeline, scope) : undefined;
          this.#run(body, { dot, variables: new Map([["$", { value: dot }]]) }, depth + 1);
          break;
        }
        default:
          throw new Leave(node.kind);
      }
    }
  }

  #range(node: Extract<Node, { kind: "if" | "with" | "range" }>, scope: Scope, depth: number): void {
    const outer = { dot: scope.dot, variables: new Map(scope.variables) };
    const { variables, declares } = node.pipeline;
    const value = this.#pipeline({ ...node.pipeline, variables: [] }, outer);
    const entries: [unknown, unknown][] = this.#entries(node.pipeline, value);
    if (entries.length === 0) this.#run(node.otherwise, outer, depth);
    for (const [key, item] of entries) {
      const inner = { dot: item, variables: new Map(outer.variables) };
      const values = variables.length === 2 ? [key, item] : [item];
      variables.forEach((name, index) => {
        if (declares) inner.variables.set(name, { value: values[index] });
        else this.#assign(name, values[index], inner, node.pipeline);
      });
      try {
        this.#run(node.body, inner, depth);
      } catch (error) {
        if (!(error instanceof Leave)) throw error;
        if (error.how === "break") break;
      }
    }
  }

  #entries(pipeline: Pipeline, value: unknown): [unknown, unknown][] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) return value.map((item, index) => [index, item]);
    if (typeof value === "number" && Number.isInteger(value))
      return Array.from({ length: Math.max(0, value) }, (_, index) => [index, index]);
    if (isObject(value))
      return Object.keys(value)
        .sort()
        .map(key => [key, value[key]]);
    throw this.#fail(pipeline, `range can't iterate over ${goString(value)}`);
  }

  #assign(name: string, value: unknown, scope: Scope, pipeline: Pipeline): void {
    const variable = scope.variables.get(name);
    if (!variable) throw this.#fail(pipeline, `undefined variable ${JSON.stringify(name)}`);
    variable.value = value;
  }

  #pipeline(pipeline: Pipeline, scope: Scope): unknown {
    let value: unknown;
    pipeline.calls.forEach((call, index) => {
      value = this.#call(pipeline, call, scope, index > 0 ? [value] : []);
    });
    for (const name of pipeline.variables)
      if (pipeline.declares) scope.variables.set(name, { value });
      else this.#assign(name, value, scope, pipeline);
    return value;
  }

  #call(pipeline: Pipeline, call: Call, scope: Scope, piped: readonly unknown[]): unknown {
    const [first, ...rest] = call as [Expression, ...Expression[]];
    const values = () => [...rest.map(one => this.#value(pipeline, one, scope)), ...piped];
    if (first.kind === "function") {
      if (first.name === "and" || first.name === "or") {
        let last: unknown;
        for (const get of [
          ...rest.map(one => () => this.#value(pipeline, one, scope)),
          ...piped.map(one => () => one),
        ]) {
          last = get();
          if (isTrue(last) === (first.name === "or")) return last;
        }
        return last;
      }
      const given = values();
      if (first.name === "call") return this.#invoke(pipeline, "call", given[0], given.slice(1));
      return this.#invoke(pipeline, first.name, FUNCTIONS[first.name], given);
    }
    if (first.kind === "field" && rest.length + piped.length > 0) {
      const method = this.#field(pipeline, first, scope);
      if (typeof method !== "function")
        throw this.#fail(pipeline, `${first.name} has arguments but cannot be invoked as function`);
      return this.#invoke(pipeline, first.name, method, values());
    }
    if (rest.length + piped.length > 0) throw this.#fail(pipeline, "can't give argument to non-function");
    return this.#value(pipeline, first, scope);
  }

  #invoke(pipeline: Pipeline, name: string, what: unknown, values: readonly unknown[]): unknown {
    if (typeof what !== "function") throw this.#fail(pipeline, `${name}: not a function`);
    if (values.length < what.length)
      throw this.#fail(
        pipeline,
        `wrong number of args for ${name}: want ${what.length} got ${values.length}`,
      );
    try {
      return what(...values);
    } catch (error) {
      throw this.#fail(pipeline, `error calling ${name}: ${(error as Error).message}`);
    }
  }

  #value(pipeline: Pipeline, expression: Expression, scope: Scope): unknown {
    switch (expression.kind) {
      case "literal":
        return expression.value;
      case "dot":
        return scope.dot;
      case "variable": {
        const variable = scope.variables.get(expression.name);
        if (!variable) throw this.#fail(pipeline, `undefined variable ${JSON.stringify(expression.name)}`);
        return variable.value;
      }
      case "pipe":
        return this.#pipeline(expression.pipeline, scope);
      case "function":
        return this.#call(pipeline, [expression], scope, []);
      case "field": {
        const value = this.#field(pipeline, expression, scope);
        return typeof value === "function" ? this.#invoke(pipeline, expression.name, value, []) : value;
      }
    }
  }

  #field(pipeline: Pipeline, expression: Extract<Expression, { kind: "field" }>, scope: Scope): unknown {
    const { name } = expression;
    const base = this.#value(pipeline, expression.base, scope);
    if (base === undefined) return undefined;
    if (base === null) throw this.#fail(pipeline, `nil pointer evaluating interface {}.${name}`);
    const method = base instanceof GoTime ? base.method(name) : undefined;
    if (method) return method;
    if (!isObject(base))
      throw this.#fail(
        pipeline,
        `can't evaluate field ${name} in type ${Array.isArray(base) ? "[]interface {}" : typeof base}`,
      );
    const key = Object.hasOwn(base, name) ? name : isMap(base) ? undefined : sameWithoutCase(base, name);
    if (key === undefined) {
      if (isMap(base)) return undefined;
      throw this.#fail(pipeline, `can't evaluate field ${name}`);
    }
    const value = base[key];
    if (typeof value === "string" && TIME_FIELDS.has(key)) return GoTime.from(value) ?? value;
    if (POINTER_FIELDS.has(key)) return value ?? null;
    if (!MAP_FIELDS.has(key)) return value;
    // What JSON leaves out for being empty is a map all the same.
    if (value === undefined && !NIL_MAP_FIELDS.has(key)) return asMap({});
    if (value === undefined || value === null) return nilMap();
    return isObject(value) ? asMap(value) : value;
  }
}

/** Prints as an empty one, and is null as JSON. */
const nilMap = () => asMap(Object.defineProperty({}, "toJSON", { value: () => null }));

/** Go's field names differ from the JSON ones in case (`ID`, `Id`), and where those have underscores. */
function sameWithoutCase(base: Record<string, unknown>, name: string): string | undefined {
  const lower = name.toLowerCase();
  return Object.keys(base).find(key => key.replaceAll("_", "").toLowerCase() === lower);
}
