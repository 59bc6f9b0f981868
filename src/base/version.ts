/** The version, put in by the build from package.json; a checkout that runs from source is `dev`. */
declare const PORTOLAN_VERSION: string | undefined;

export const VERSION: string = typeof PORTOLAN_VERSION === "string" ? PORTOLAN_VERSION : "dev";
