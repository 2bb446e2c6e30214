package images

import (
	"archive/tar"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout is an archive that is being made.
type layout struct {
	images []*Image // each name once
}

// dockerEntry is an image in an archive's manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// add puts an image into the layout, unless it is there under that name.
func (l *layout) add(i *Image) {
	same := func(other *Image) bool { return other.ID == i.ID && other.Reference == i.Reference }
	if !slices.ContainsFunc(l.images, same) {
		l.images = append(l.images, i)
	}
}

// distinct are the images, each once whatever its names.
func (l *layout) distinct() []*Image {
	sameID := func(a, b *Image) bool { return a.ID == b.ID }
	byID := func(a, b *Image) int { return strings.Compare(a.ID.String(), b.ID.String()) }
	return slices.CompactFunc(slices.SortedFunc(slices.Values(l.images), byID), sameID)
}

// writeMetadata writes the files of an OCI layout and Docker's manifest.json.
func (l *layout) writeMetadata(w *tar.Writer) error {
	for _, dir := range []string{ocispec.ImageBlobsDir + "/", path.Join(ocispec.ImageBlobsDir, digest.SHA256.String()) + "/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		name    string
		content any
	}{
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{ocispec.ImageIndexFile, l.index()},
		{"manifest.json", l.docker()},
	} {
		text, err := json.Marshal(file.content)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: file.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) index() ocispec.Index {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, i := range l.images {
		d := i.record.Target
		d.Annotations = nil
		if i.Reference != "" {
			d.Annotations = map[string]string{images.AnnotationImageName: i.Reference}
			if named, err := parse(i.Reference); err == nil {
				d.Annotations[ocispec.AnnotationRefName] = tagOrDigest(named)
			}
		}
		index.Manifests = append(index.Manifests, d)
	}
	return index
}

func (l *layout) docker() []*dockerEntry {
	var all []*dockerEntry
	byID := map[digest.Digest]*dockerEntry{}
	for _, i := range l.images {
		entry := byID[i.ID]
		if entry == nil {
			entry = &dockerEntry{Config: blobPath(i.ID), Layers: []string{}}
			for _, layer := range i.Layers {
				entry.Layers = append(entry.Layers, blobPath(layer.Digest))
			}
			byID[i.ID] = entry
			all = append(all, entry)
		}
		if named, err := reference.ParseNormalizedNamed(i.Reference); err == nil {
			if _, ok := named.(reference.Tagged); ok {
				entry.RepoTags = append(entry.RepoTags, reference.FamiliarString(named))
			}
		}
	}
	return all
}

func blobPath(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
