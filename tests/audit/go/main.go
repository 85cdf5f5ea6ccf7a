// Verifies an exported trail with the note and tree packages of golang.org/x/mod, which share no code with ours.
//
//	main EXPORT VKEY [OLD_CHECKPOINT [PROOF ENTRY]]
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

// checkpoint opens a signed note and reads its three lines.
func checkpoint(signed []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(signed, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check(fmt.Errorf("not a checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

// tiles reads our directory; the path of a tile bears its height there and not here.
type tiles string

func (top tiles) Height() int                     { return 8 }
func (top tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (top tiles) ReadTiles(wanted []tlog.Tile) (found [][]byte, err error) {
	for _, tile := range wanted {
		octets, err := os.ReadFile(filepath.Join(string(top), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		found = append(found, octets)
	}
	return found, nil
}

// entries checks every entry of every bundle against the hash that the tree holds of it.
func entries(top string, tree tlog.Tree, hashes tlog.HashReader) {
	for n := int64(0); n < tree.N; {
		tile := tlog.Tile{H: 8, L: 0, N: n >> 8, W: 256}
		if left := tree.N - n; left < 256 {
			tile.W = int(left)
		}
		octets, err := os.ReadFile(filepath.Join(top, strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)))
		check(err)
		for ; len(octets) >= 2; n++ {
			size := 2 + int(binary.BigEndian.Uint16(octets))
			if size > len(octets) {
				check(fmt.Errorf("entry %d is cut short", n))
			}
			held, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
			check(err)
			if held[0] != tlog.RecordHash(octets[2:size]) {
				check(fmt.Errorf("entry %d was changed", n))
			}
			octets = octets[size:]
		}
		if n != tile.N<<8+int64(tile.W) || len(octets) != 0 {
			check(fmt.Errorf("bundle %d has %d entries", tile.N, n-tile.N<<8))
		}
	}
}

// inclusion checks a c2sp.org/tlog-proof of one entry.
func inclusion(proof, entry []byte, vkey string) {
	head, signed, _ := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var path tlog.RecordProof
	for _, line := range lines[2:] {
		var hash tlog.Hash
		octets, err := base64.StdEncoding.DecodeString(line)
		check(err)
		copy(hash[:], octets)
		path = append(path, hash)
	}
	tree := checkpoint(signed, vkey)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
}

func main() {
	top, vkey := os.Args[1], os.Args[2]
	signed, err := os.ReadFile(filepath.Join(top, "checkpoint"))
	check(err)
	tree := checkpoint(signed, vkey)
	hashes := tlog.TileHashReader(tree, tiles(top)) // checks each tile against the root as it is read
	entries(top, tree, hashes)
	if len(os.Args) > 3 {
		signed, err := os.ReadFile(os.Args[3])
		check(err)
		old := checkpoint(signed, vkey)
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	if len(os.Args) > 5 {
		proof, err := os.ReadFile(os.Args[4])
		check(err)
		entry, err := os.ReadFile(os.Args[5])
		check(err)
		inclusion(proof, entry, vkey)
	}
	fmt.Printf("verified %d entries\n", tree.N)
}
