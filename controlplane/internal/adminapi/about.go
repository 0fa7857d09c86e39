package adminapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// About 是这个副本说得出的自己；零值是什么也没有说。
type About struct {
	Version string
	// PublicAPIURL 是客户端够到数据面的地址。
	PublicAPIURL string
	Replica      string
	StartedAt    time.Time
}

type about struct {
	Version         string    `json:"version"`
	PublicAPIURL    string    `json:"public_api_url"`
	TimeZone        string    `json:"time_zone"`
	Currency        string    `json:"currency"`
	Revision        uint64    `json:"revision"`
	Replica         string    `json:"replica"`
	StartedAt       time.Time `json:"started_at"`
	TransportSecure bool      `json:"transport_secure"`
}

// GetAbout 实现 GET /about。
func (a *api) GetAbout(c echo.Context) error {
	if err := only(c); err != nil {
		return err
	}
	settings, _, err := a.deps.Settings.LoadSettings(c.Request().Context())
	if err != nil {
		return err
	}
	head, err := a.deps.Store.Revisions(c.Request().Context(), 0, 1)
	if err != nil {
		return err
	}
	self := a.cfg.About
	row := about{
		Version: self.Version, PublicAPIURL: self.PublicAPIURL, TimeZone: settings.TimeZone, Currency: settings.Currency,
		Replica: self.Replica, StartedAt: self.StartedAt.UTC(), TransportSecure: transport(c).Secure,
	}
	if len(head) > 0 {
		row.Revision = head[0].Number
	}
	return writeJSON(c, http.StatusOK, row)
}
