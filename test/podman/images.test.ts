/** The verbs on images, which change the store: on a host of their own. */
import { openPairs, pairs, refused } from "./pairs.ts";

const callers = openPairs(["root", "user"], "busybox", "featured");

pairs(callers, [
  "engine tag busybox localhost/mybase; engine create --name one localhost/mybase >/dev/null; engine create --name two mybase:latest >/dev/null; engine create --name three busybox >/dev/null; engine create --name four $(engine images -q mybase) >/dev/null; engine ps -a --sort names --format '{{.Names}} {{.Image}}'; engine inspect -f '{{.ImageName}} {{.Config.Image}}' one; engine rm -a >/dev/null; engine rmi localhost/mybase | head -1",
  "engine images; engine image ls --format '{{.Repository}}:{{.Tag}} {{.Size}}'; engine images --noheading busybox; engine images --filter reference='busy*' -q; engine images nope; engine images -q --no-trunc busybox",
  "engine tag busybox b2:v1; engine images --format '{{.Repository}}:{{.Tag}}' | sort; engine rmi b2:v1; engine tag nope x; engine tag busybox; engine rmi nope; echo $?; engine untag",
  "engine tag busybox localhost/x:1; engine untag busybox localhost/x:1; engine images localhost/x; engine image exists busybox; echo $?; engine image exists nope; echo $?; engine image inspect -f '{{.Id}} {{json .RepoTags}} {{.Architecture}} {{.Os}} {{json .Config.Cmd}} {{len .RootFS.Layers}}' busybox; engine image inspect nope",
  "engine create --name one featured >/dev/null; engine image rm nope; engine image prune -f; engine rm one | wc -c",
  refused("engine create --name one featured >/dev/null; engine rmi featured", /image used by|in use/),
  {
    script:
      "engine tag busybox localhost/keep; engine save localhost/keep >f; engine save -o g --format oci-archive localhost/keep; tar tf g | grep -c blobs/sha256/.; engine rmi localhost/keep | head -1; engine load -i f; engine rmi localhost/keep | head -1; engine load -q <f; engine run --rm localhost/keep echo works; engine rmi localhost/keep | wc -l; engine load -q -i g | wc -l",
    ignoreErrors: "podman tells of each blob that it copies, also where nobody watches",
  },
  "engine save -o f busybox 2>/dev/null; engine tag busybox localhost/mybase; engine load -q -i f >/dev/null; engine create --name one busybox >/dev/null; engine ps -a --format '{{.Image}}'; engine rm one >/dev/null; engine rmi localhost/mybase | head -1",
  refused(
    "engine pull nowhere",
    /short-name "nowhere" did not resolve to an alias and no unqualified-search/,
  ),
  "engine load -i nope; engine save nope",
  refused("engine load -i /etc/passwd", /payload does not match any of the supported image formats/),
  refused("engine save -o f --format bogus busybox", /format/),
  refused("engine tag busybox UPPER", /UPPER/),
]);
