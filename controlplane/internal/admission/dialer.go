package admission

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	admissionv1 "github.com/vega-gateway/vega/proto/gen/go/vega/admission/v1"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

const (
	askTimeout = 3 * time.Second
	maxAnswer  = 16 << 20
)

// Dialer 以节点的身份（加入令牌）向另一个副本发问。
type Dialer struct {
	credentials credentials.TransportCredentials
	joinToken   string
}

// NewDialer 造一个 Dialer；creds 须与各副本的 gRPC 监听相配。
func NewDialer(creds credentials.TransportCredentials, joinToken string) *Dialer {
	return &Dialer{credentials: creds, joinToken: joinToken}
}

// Queues 问 address 的副本。每次现连现断：问的是人，一秒至多几次，不值得守着一条会过时的连接。
func (d *Dialer) Queues(ctx context.Context, address string) (*admissionv1.QueuesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(d.credentials),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, fmt.Errorf("dial replica: %w", err)
	}
	defer func() { _ = conn.Close() }()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+d.joinToken)
	answer, err := admissionv1.NewAdmissionServiceClient(conn).Queues(ctx, &admissionv1.QueuesRequest{})
	if err != nil {
		return nil, vegaerr.FromGRPC(err)
	}
	return answer, nil
}
