package images

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// storeLayer stores the archive that write writes as a layer, compressed with
// gzip, and returns the digest of its plain bytes, too. The same bytes make the
// same layer.
func (s *Service) storeLayer(ctx context.Context, write func(io.Writer) error) (d ocispec.Descriptor, diffID digest.Digest, err error) {
	store, ref := s.client().ContentStore(), "pouchfx-layer-"+uuid.NewString()
	w, err := content.OpenWriter(ctx, store, content.WithRef(ref))
	if err != nil {
		return d, "", err
	}
	defer func() {
		_ = w.Close()
		if err != nil {
			_ = store.Abort(context.WithoutCancel(ctx), ref)
		}
	}()
	counted := &counter{Writer: w}
	z := gzip.NewWriter(counted) // several times as fast as the standard library's
	digester := digest.Canonical.Digester()
	if err := write(io.MultiWriter(z, digester.Hash())); err != nil {
		return d, "", err
	}
	if err := z.Close(); err != nil {
		return d, "", err
	}
	diffID = digester.Digest()
	d = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: w.Digest(), Size: counted.n}
	err = w.Commit(ctx, d.Size, d.Digest, content.WithLabels(map[string]string{labels.LabelUncompressed: diffID.String()}))
	if errdefs.IsAlreadyExists(err) {
		err = nil
	}
	return d, diffID, err
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

// interruptible is a reader that ends with a context.
type interruptible struct {
	io.Reader
	ctx context.Context
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// copyTar copies an archive without the empty files and the directories that
// have one of the given absolute paths.
func copyTar(w io.Writer, r io.Reader, without []string) error {
	from, to := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := from.Next()
		if err == io.EOF {
			return to.Close()
		}
		if err != nil {
			return err
		}
		empty := h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeReg && h.Size == 0
		if empty && slices.Contains(without, path.Clean("/"+h.Name)) {
			continue
		}
		if err := to.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
	}
}
