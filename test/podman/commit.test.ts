/** diff, export, commit, import: what a container has become, seen, taken out, and made an image of. */
import { expect, test } from "bun:test";
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox", "featured");
const table = (...cases: Parameters<typeof pairs>[1]) => pairs(callers, cases);

/** A container that has added, changed and removed of everything. */
const CHANGED = `engine run --network none --name one busybox sh -c 'rm /etc/group; echo x >/new; mkdir /d; touch /d/e; ln -s a /l; mkfifo /p; mv /etc/passwd /etc/p2; rm -r /usr/share; mkdir -p /usr/share/x; chmod 755 /root; rm /usr/bin/vi; rmdir /tmp'`;
const IDLE = "engine create --name one busybox true >/dev/null";
/** Images that a script made go with it. */
const CLEAN =
  "quiet engine rm -f one; for i in $(engine images -q | sort -u); do engine images --filter reference=busybox -q | grep -q $i || engine images --filter reference=featured -q | grep -q $i || quiet engine rmi -f $i; done";

// diff and export.
table(
  `${CHANGED}; engine diff one; engine diff --format json one; engine diff -l | wc -l; engine container diff one | wc -l; engine export one | tar t | grep -v /usr/ | sort; engine export -o out.tar one; ls -l out.tar | cut -c1-10; tar xOf out.tar new; engine container export one | tar tv --numeric-owner | grep ' bin\\|d/e' | sed 's/20[^ ]* [^ ]* //'`,
  `${IDLE}; engine diff one; engine diff busybox | wc -l; engine diff nope; engine diff; engine diff --format bogus one; engine export nope; engine export; engine export -o a:b one; engine export a b`,
  "engine run -d --network none --name one --tmpfs /t -v vol:/v busybox sh -c 'echo in >/v/f; echo in >/t/f; echo out >/o; echo ready; sleep 1000' >/dev/null; ready one; engine export one | tar t | grep '^[tvo]' | sort; engine cp one:/o - | tar xO",
);

// commit.
table(
  `${CHANGED}; engine commit -q one localhost/img | wc -c; engine run --rm --network none img sh -c 'ls -ld /root | cut -c1-10; ls /etc/group /usr/share /d; ls -l /l /p | cut -c1; cat /new; ls -d /tmp; ls /usr/bin | grep -c "^vi$"'; engine images --format '{{.Repository}}:{{.Tag}}' img; engine image inspect -f '{{json .History}}' img | sed 's/[0-9-]*T[0-9:.]*Z/T/g'; ${CLEAN}`,
  `engine create --network none --name one -e A=1 -w /tmp -u nobody -l k=v --entrypoint /bin/sh -v vol:/vv --stop-signal INT featured -c 'echo x >/tmp/new' >/dev/null; engine commit -q one localhost/img >/dev/null; engine image inspect -f '{{.Config.User}} {{json .Config.ExposedPorts}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Volumes}} {{.Config.WorkingDir}} {{json .Config.Labels}} {{.Config.StopSignal}} {{.ManifestType}} {{.Author}}|{{.Os}} {{.Architecture}} {{len .RootFS.Layers}}' img; engine commit -q --include-volumes one localhost/vols >/dev/null; engine image inspect -f '{{.Config.Volumes}}' vols; ${CLEAN}`,
  {
    script: `${IDLE}; engine commit -q -f docker -a 'Me <m@x>' -m hello -c CMD=foo -c 'ENTRYPOINT ["/bin/sh","-c"]' -c ENV=X=1 -c 'ENV Z z z' -c 'EXPOSE 80/tcp' -c EXPOSE=53/udp -c 'LABEL a=b c' -c STOPSIGNAL=INT -c USER=me -c VOLUME=/v -c 'VOLUME ["/w"]' -c WORKDIR=/wd one localhost/img >/dev/null; engine image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' img | sort; engine image inspect -f '{{.Config.User}} {{json .Config.ExposedPorts}} {{json .Config.Entrypoint}} {{json .Config.Cmd}} {{json .Config.Volumes}} {{.Config.WorkingDir}} {{json .Config.Labels}} {{.Config.StopSignal}} {{.Author}} {{.Comment}} {{.ManifestType}}' img; ${CLEAN}`,
    ignoreErrors: "podman warns that it ignores the message, and keeps it",
  },
  `${IDLE}; engine commit -q -c CMD one x; engine commit -q -c 'BOGUS x' one; engine commit -q -c ONBUILD='RUN x' one; engine commit -q -c 'cmd foo' one | wc -c; engine commit -f bogus one; engine commit nope; engine commit; engine commit one 'A B'; engine commit --iidfile ii -q one >f; wc -c <ii; engine commit -q -m x one; engine commit -c 'EXPOSE 80 81' -q one; engine commit -c 'HEALTHCHECK NONE' -q one; engine commit a b c; ${CLEAN}`,
  `engine run -d --network none --name one busybox sh -c 'echo x >/x; echo ready; sleep 1000' >/dev/null; ready one; engine commit --squash -q one localhost/img | wc -c; engine image inspect -f '{{len .RootFS.Layers}}' img; engine run --rm --network none img cat /x; engine ps --format '{{.Names}}'; engine rm -f -t 0 one; ${CLEAN}`,
);

// import.
table(
  `${IDLE}; engine export one >e.tar; engine import -q e.tar imp | cut -c1-7; engine import -m msg -c CMD=/bin/date -c ENV=A=1 -q e.tar imp2 | wc -c; engine image inspect -f '{{json .Config}} {{.Comment}} {{.Architecture}} {{.Os}}' imp imp2; engine run --rm --network none imp2 | wc -l; engine import -q --arch arm64 --os linux e.tar imp3 >/dev/null; engine image inspect -f '{{.Architecture}} {{.Os}}' imp3; gzip e.tar; engine import -q e.tar.gz imp4 | wc -c; cat e.tar.gz | engine import -q - | wc -c; engine images --format '{{.Repository}}:{{.Tag}}' | grep -v busy | sort; ${CLEAN}`,
  "engine import nope.tar; engine import; engine import a b c; engine image import nope.tar",
  refused("engine import -q http://127.0.0.1:1/x.tar", /downloading http:\/\/127.0.0.1:1\/x.tar: /),
  refused("echo bogus >b; engine import -q b bb", /Error: /),
);

// Whichever way the root file system was put up.
for (const { who, pair } of callers)
  test(`${who}: by fuse-overlayfs and as plain copies what has changed is the same`, async () => {
    const told: string[] = [];
    for (const driver of ["overlay", "vfs", ...(who === "root" ? ["fuse-overlayfs"] : [])]) {
      const script = `engine() { portolan --storage-driver ${driver} "$@"; }
${CHANGED}; engine diff one | grep -v '^C /$'; engine commit -q one localhost/img >/dev/null; engine run --rm --network none img find / -xdev '(' -path /dev -o -path /proc -o -path /sys -o -path /run ')' -prune -o -print | sort; engine export one | tar t | sort; echo hi >f; engine cp f one:/usr/share/; engine cp one:/usr/share/f - | tar xO; ${CLEAN}`;
      const { code, stdout, stderr } = await pair().run("portolan", script);
      expect({ driver, code, stderr }).toEqual({ driver, code: 0, stderr: "" });
      told.push(stdout);
    }
    expect(told[0]).toContain("A /usr/share/x\n");
    // A directory that was removed and made anew is one that was changed, to whoever compares.
    expect(told[1]).toBe(
      told[0]!.replace(
        "D /usr/share\n",
        `C /usr/share\n${["doc", "initramfs-tools", "lintian", "man"].map(name => `D /usr/share/${name}\n`).join("")}`,
      ),
    );
    if (told[2] !== undefined) expect(told[2]).toBe(told[0]!);
  });
