/** Every case. */
import type { Case } from "./case.ts";
import { ADDRESSES } from "./cases/addresses.ts";
import { CHAINED } from "./cases/chained.ts";
import { INTERFACES } from "./cases/interfaces.ts";
import { REFUSALS } from "./cases/refusals.ts";

export const CASES: readonly Case[] = [...REFUSALS, ...ADDRESSES, ...INTERFACES, ...CHAINED];
