/**
 * Names of containers: how they must look, and those of containers that were given none: `brisk_halley`, an adjective and
 * a chart maker, sailor or star gazer.
 */
import { UserError } from "../base/errors.ts";

const ADJECTIVES =
  "able amber apt azure blithe bold brave breezy bright brisk calm candid cheery civil clever coastal cosmic crisp daring deft dutiful eager earnest easterly epic exact fair fearless fine fleet fond frank free fresh frosty gallant gentle glad golden grand hardy hazy hearty honest humble jolly jovial keen kind lively loyal lucid lunar mellow merry mild mighty modest neat nimble noble northern open patient placid plucky polar polite prime prompt proud quick quiet rapid ready rosy salty serene sharp silver sincere solar southern spry stable stellar sturdy subtle sunny swift tidal tidy tranquil true upbeat vivid wakeful warm westerly wise witty zesty".split(
    " ",
  );

const SURNAMES =
  "amundsen anson apianus banks barents barrow baudin beaufort behaim bellin bering blaeu bligh bond bouguer bowditch brahe cabot cabral cano cantino cassini champlain chichester columbus cook cresques dalrymple dampier davis delisle dias drake ellicott eratosthenes fine fitzroy flamsteed flinders foster frobisher furneaux galilei gama gemma gerritsz gerard halley harrison hassler heezen herschel hevelius hipparchus hondius hudson humboldt idrisi jansson kepler khayyam kremer lacaille laperouse linschoten magellan malaspina marinus maskelyne maury mayer mercator mitchell munster nansen napier nordenskiold ortelius parry piccard picard piri plancius polo ptolemy pytheas quiros reinel rennell ross sacrobosco sanson saxton scoresby selkirk shackleton snellius speed strabo tasman tharp torres toscanelli vancouver vespucci waldseemuller wilkes wright zheng".split(
    " ",
  );

/** Throws UserError for what can be no name; `what` stands before the reason. */
export function checkName(name: string, what = ""): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
    throw new UserError(`${what}names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument`, {
      status: 400,
    });
}

/** An id of 64 hexadecimal digits. (Web crypto: to load node:crypto takes longer than all else before the first query.) */
export const randomId = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");

/** Uniform enough for names. */
const randomInt = (limit: number) => crypto.getRandomValues(new Uint32Array(1))[0]! % limit;

/** A random name that `taken` says no to; a number is added when the plain ones run out. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const pair = `${ADJECTIVES[randomInt(ADJECTIVES.length)]}_${SURNAMES[randomInt(SURNAMES.length)]}`;
    const name = attempt < 20 ? pair : `${pair}${randomInt(1_000_000)}`;
    if (!taken(name)) return name;
  }
}
