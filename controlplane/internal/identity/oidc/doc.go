// Package oidc 说 OpenID Connect 的授权码流程：带 PKCE、state 与 nonce，得出提供方证明了的人与他的角色。
//
// 数据流：Begin 给出要去的地址与一份 Flow（随 cookie 交给浏览器）→ 提供方 → 回调带着 code 与 state → Finish 对照 Flow、
// 换 token、验 ID token 的签名、签发者、受众、期限与 nonce → identity.Person。
//
// 不变量：没有与之相符的 Flow，任何回调都不成；Flow 里的都是随机数，只在发起它的那个浏览器里。client secret 不出现在日志与错误里。
// 并发：发现文档头一次用到时取，此后共用；同时要的人等同一次，谁也不因谁走了而落空。签名的公钥由库缓存，轮换时再取。
// 失败时：提供方够不着是 oidc_unavailable（vegaerr.Unavailable），下次再取；拒绝或对不上是 oidc_refused（vegaerr.Denied）。
// 不做什么：不开会话，不认识存储；不用 refresh token，所以角色的变化到下次登录才知道，会话的绝对期限就是它的上限。
package oidc
