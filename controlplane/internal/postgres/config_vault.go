package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vega-gateway/vega/controlplane/internal/catalog"
	"github.com/vega-gateway/vega/controlplane/internal/postgres/sqlcgen"
	"github.com/vega-gateway/vega/controlplane/internal/seal"
	"github.com/vega-gateway/vega/proto/ruleset"
	"github.com/vega-gateway/vega/proto/vegaerr"
)

// Sealer 由 seal.Keyring 实现。
type Sealer interface {
	Seal(place seal.Place, plaintext []byte) ([]byte, error)
	Open(place seal.Place, sealed []byte) ([]byte, error)
}

// vault 是打开了的安装：主密钥环与 key 的 pepper。
type vault struct {
	sealer       Sealer
	pepper       []byte
	installation string
}

var pepperPlace = seal.Place{Table: "installation", Row: "1", Column: "key_pepper"}

func credentialPlace(server string) seal.Place {
	return seal.Place{Table: "server_credentials", Row: server, Column: "sealed"}
}

// Unlock 用主密钥打开这套安装，全新的数据库则先给它一个 pepper（几个副本同时来也只有一个）。
// 主密钥与数据库对不上时，错误说明该怎么办。必须在别的协程用到 Store 之前调用。
func (s *Store) Unlock(ctx context.Context, sealer Sealer) error {
	row, err := s.q.GetInstallation(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		if err := s.install(ctx, sealer); err != nil {
			return err
		}
		row, err = s.q.GetInstallation(ctx)
	}
	if err != nil {
		return fmt.Errorf("read installation: %w", err)
	}
	pepper, err := sealer.Open(pepperPlace, row.KeyPepper)
	if err != nil {
		return fmt.Errorf("the master key does not open this database; set VEGA_MASTER_KEY (or VEGA_MASTER_KEY_FILE) to the key it was created with: %w", err)
	}
	s.vault = vault{sealer: sealer, pepper: pepper, installation: row.ID}
	return nil
}

func (s *Store) install(ctx context.Context, sealer Sealer) error {
	sealed, err := sealer.Seal(pepperPlace, seal.GenerateKey())
	if err != nil {
		return fmt.Errorf("seal key pepper: %w", err)
	}
	if err := s.q.CreateInstallation(ctx, sealed); err != nil {
		return fmt.Errorf("record installation: %w", err)
	}
	return nil
}

// Pepper 是算 key 的 MAC 的密钥，供编快照；不可改动，不可进日志。
func (s *Store) Pepper() []byte { return s.vault.pepper }

// Installation 是这套安装的 UUID。
func (s *Store) Installation() string { return s.vault.installation }

// Mint 给出以这套安装的 pepper 造 key 的 Mint。
func (s *Store) Mint() catalog.Mint {
	pepper := s.vault.pepper
	return catalog.Mint{MAC: func(secret string) [32]byte { return ruleset.KeyMAC(pepper, secret) }}
}

func (v vault) openCredential(row sqlcgen.ServerCredential) (*catalog.Credential, error) {
	if v.sealer == nil {
		return nil, errors.New("the store is not unlocked")
	}
	plain, err := v.sealer.Open(credentialPlace(row.Server), row.Sealed)
	if err != nil {
		return nil, fmt.Errorf("open credential of server %q: %w", row.Server, err)
	}
	return &catalog.Credential{ID: row.ID, Secret: catalog.NewSecret(string(plain)), Hint: row.Hint}, nil
}

func (v vault) sealCredential(c catalog.CredentialOf) (sqlcgen.PutCredentialParams, error) {
	sealed, err := v.sealer.Seal(credentialPlace(c.Server), []byte(c.Secret.Reveal()))
	if err != nil {
		return sqlcgen.PutCredentialParams{}, fmt.Errorf("seal credential of server %q: %w", c.Server, err)
	}
	return sqlcgen.PutCredentialParams{Server: c.Server, ID: c.ID, Sealed: sealed, Hint: c.Hint}, nil
}

// configErr 给数据库的错误加上码；已经有码的（mutate 给出的）与 ctx 的原样返回。
func configErr(err error) error {
	var known *vegaerr.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return vegaerr.Wrap(err, vegaerr.Unavailable, "", "the configuration database cannot be used now")
}
