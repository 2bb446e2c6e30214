// Pack compresses a program for embedding: it writes OUT.zst and OUT.sha256,
// the digest of the program itself.
//
//	pack PROGRAM OUT
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack PROGRAM OUT")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(program, out string) error {
	in, err := os.Open(program)
	if err != nil {
		return err
	}
	defer in.Close()
	packed, err := os.Create(out + ".zst")
	if err != nil {
		return err
	}
	defer packed.Close()
	// The window is memory that the daemon needs to unpack it, and keeps for a
	// while. Of a bigger one the file would be a hundredth smaller.
	z, err := zstd.NewWriter(packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(512<<10))
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(z, sum), in); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return os.WriteFile(out+".sha256", []byte(hex.EncodeToString(sum.Sum(nil))+"\n"), 0o644)
}
