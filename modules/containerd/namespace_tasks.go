package containerd

import (
	"context"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

type nsTasks struct {
	namespace
	next tasks.TasksClient
}

func (s nsTasks) Create(ctx context.Context, r *tasks.CreateTaskRequest, opts ...grpc.CallOption) (*tasks.CreateTaskResponse, error) {
	return s.next.Create(s.within(ctx), r, opts...)
}

func (s nsTasks) Start(ctx context.Context, r *tasks.StartRequest, opts ...grpc.CallOption) (*tasks.StartResponse, error) {
	return s.next.Start(s.within(ctx), r, opts...)
}

func (s nsTasks) Delete(ctx context.Context, r *tasks.DeleteTaskRequest, opts ...grpc.CallOption) (*tasks.DeleteResponse, error) {
	return s.next.Delete(s.within(ctx), r, opts...)
}

func (s nsTasks) DeleteProcess(ctx context.Context, r *tasks.DeleteProcessRequest, opts ...grpc.CallOption) (*tasks.DeleteResponse, error) {
	return s.next.DeleteProcess(s.within(ctx), r, opts...)
}

func (s nsTasks) Get(ctx context.Context, r *tasks.GetRequest, opts ...grpc.CallOption) (*tasks.GetResponse, error) {
	return s.next.Get(s.within(ctx), r, opts...)
}

func (s nsTasks) List(ctx context.Context, r *tasks.ListTasksRequest, opts ...grpc.CallOption) (*tasks.ListTasksResponse, error) {
	return s.next.List(s.within(ctx), r, opts...)
}

func (s nsTasks) Kill(ctx context.Context, r *tasks.KillRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.Kill(s.within(ctx), r, opts...)
}

func (s nsTasks) Exec(ctx context.Context, r *tasks.ExecProcessRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.Exec(s.within(ctx), r, opts...)
}

func (s nsTasks) ResizePty(ctx context.Context, r *tasks.ResizePtyRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.ResizePty(s.within(ctx), r, opts...)
}

func (s nsTasks) CloseIO(ctx context.Context, r *tasks.CloseIORequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.CloseIO(s.within(ctx), r, opts...)
}

func (s nsTasks) Pause(ctx context.Context, r *tasks.PauseTaskRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.Pause(s.within(ctx), r, opts...)
}

func (s nsTasks) Resume(ctx context.Context, r *tasks.ResumeTaskRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.Resume(s.within(ctx), r, opts...)
}

func (s nsTasks) ListPids(ctx context.Context, r *tasks.ListPidsRequest, opts ...grpc.CallOption) (*tasks.ListPidsResponse, error) {
	return s.next.ListPids(s.within(ctx), r, opts...)
}

func (s nsTasks) Checkpoint(ctx context.Context, r *tasks.CheckpointTaskRequest, opts ...grpc.CallOption) (*tasks.CheckpointTaskResponse, error) {
	return s.next.Checkpoint(s.within(ctx), r, opts...)
}

func (s nsTasks) Update(ctx context.Context, r *tasks.UpdateTaskRequest, opts ...grpc.CallOption) (*emptypb.Empty, error) {
	return s.next.Update(s.within(ctx), r, opts...)
}

func (s nsTasks) Metrics(ctx context.Context, r *tasks.MetricsRequest, opts ...grpc.CallOption) (*tasks.MetricsResponse, error) {
	return s.next.Metrics(s.within(ctx), r, opts...)
}

func (s nsTasks) Wait(ctx context.Context, r *tasks.WaitRequest, opts ...grpc.CallOption) (*tasks.WaitResponse, error) {
	return s.next.Wait(s.within(ctx), r, opts...)
}
