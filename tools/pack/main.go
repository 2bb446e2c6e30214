// Pack compresses a file for embedding: it writes OUT.zst and OUT.sha256, the
// digest of the file itself.
//
//	pack [-window KIB] FILE OUT
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

func main() {
	// The window is memory that the daemon needs to unpack the file, and keeps
	// for a while. Of a bigger one a program would be a hundredth smaller.
	window := flag.Int("window", 512, "how far back in the file to look for what repeats, in KiB")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: pack [-window KIB] FILE OUT")
		os.Exit(2)
	}
	if err := pack(flag.Arg(0), flag.Arg(1), *window<<10); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(file, out string, window int) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	packed, err := os.Create(out + ".zst")
	if err != nil {
		return err
	}
	defer packed.Close()
	z, err := zstd.NewWriter(packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window))
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
