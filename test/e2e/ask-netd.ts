/** `ask-netd.ts RUN-ROOT UID`: as that user, asks the network service there for its orders; prints them, or why not. */
import { NetdClient } from "../../src/netd/client.ts";

const [runRoot = "", uid] = process.argv.slice(2);
process.setgid!(Number(uid));
process.setuid!(Number(uid));
try {
  const client = await NetdClient.open(runRoot, { start: false });
  console.log(JSON.stringify(await client?.list()));
} catch (error) {
  console.log((error as Error).message);
}
process.exit();
