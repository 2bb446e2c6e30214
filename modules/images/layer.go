package images

import (
	"archive/tar"
	"bufio"
	"context"
	"io"
	"path"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// madeHere is the label of a layer's blob that was made by a commit or import
// and not compressed, which would take most of the time: a push does that.
const madeHere = "pouchfx/made-here"

// layerBuffer is how much of a layer is given to the content store at a time,
// which may be another process.
const layerBuffer = 1 << 20

// storePlain stores the archive that write writes as a layer. The same bytes
// make the same layer.
func (s *Service) storePlain(ctx context.Context, write func(io.Writer) error) (ocispec.Descriptor, error) {
	return s.storeLayer(ctx, ocispec.MediaTypeImageLayer, map[string]string{madeHere: "plain"}, write)
}

// storeGzipped stores a layer that is here once more, compressed with gzip.
func (s *Service) storeGzipped(ctx context.Context, plain ocispec.Descriptor) (ocispec.Descriptor, error) {
	r, err := s.client().ContentStore().ReaderAt(ctx, plain)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer r.Close()
	kind := ocispec.MediaTypeImageLayerGzip
	return s.storeLayer(ctx, kind, map[string]string{labels.LabelUncompressed: plain.Digest.String()}, func(w io.Writer) error {
		z := gzip.NewWriter(w) // several times as fast as the standard library's
		if _, err := io.Copy(z, interruptible{content.NewReader(r), ctx}); err != nil {
			return err
		}
		return z.Close()
	})
}

func (s *Service) storeLayer(ctx context.Context, mediaType string, marks map[string]string, write func(io.Writer) error) (d ocispec.Descriptor, err error) {
	store, ref := s.client().ContentStore(), "pouchfx-layer-"+uuid.NewString()
	w, err := content.OpenWriter(ctx, store, content.WithRef(ref))
	if err != nil {
		return d, err
	}
	defer func() {
		_ = w.Close()
		if err != nil {
			_ = store.Abort(context.WithoutCancel(ctx), ref)
		}
	}()
	counted := &counter{Writer: w}
	buffered := bufio.NewWriterSize(counted, layerBuffer)
	if err := write(buffered); err != nil {
		return d, err
	}
	if err := buffered.Flush(); err != nil {
		return d, err
	}
	d = ocispec.Descriptor{MediaType: mediaType, Digest: w.Digest(), Size: counted.n}
	err = w.Commit(ctx, d.Size, d.Digest, content.WithLabels(marks))
	if errdefs.IsAlreadyExists(err) {
		err = nil
	}
	return d, err
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
