// The reference: Debian's libcni drives the same conflists as our runtime (../libcni.test.ts).
//
//	libcni add|check|del CONFLIST CACHE
//
// The attachment is JSON on standard input; CNI_PATH says where plugins are.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

type attachment struct {
	ContainerID    string                 `json:"containerId"`
	NetNS          string                 `json:"netns"`
	IfName         string                 `json:"ifName"`
	Args           [][2]string            `json:"cniArgs"`
	CapabilityArgs map[string]interface{} `json:"capabilityArgs"`
}

func fail(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	var one attachment
	fail(json.NewDecoder(os.Stdin).Decode(&one))
	list, err := libcni.ConfListFromFile(os.Args[2])
	fail(err)
	runtime := &libcni.RuntimeConf{
		ContainerID: one.ContainerID, NetNS: one.NetNS, IfName: one.IfName,
		Args: one.Args, CapabilityArgs: one.CapabilityArgs,
	}
	cni := libcni.NewCNIConfigWithCacheDir(strings.Split(os.Getenv("CNI_PATH"), ":"), os.Args[3], nil)
	ctx := context.Background()
	switch os.Args[1] {
	case "add":
		result, err := cni.AddNetworkList(ctx, list, runtime)
		fail(err)
		fail(result.Print())
	case "check":
		fail(cni.CheckNetworkList(ctx, list, runtime))
	case "del":
		fail(cni.DelNetworkList(ctx, list, runtime))
	}
}
