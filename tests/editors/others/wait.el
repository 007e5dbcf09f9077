;;; wait.el --- what the tests in Emacs share  -*- lexical-binding: t -*-
(setq jsonrpc-default-request-timeout 60)

(defun test-wait (what condition)
  "Wait until CONDITION holds, or fail saying WHAT."
  (let (got)
    (with-timeout (60 (error "timed out: %s" what))
      (while (not (setq got (funcall condition)))
        (accept-process-output nil 0.02)))
    got))

(defun test-equal (what expected got)
  "Fail saying WHAT unless GOT is EXPECTED."
  (unless (equal expected got) (error "%s: expected %S, got %S" what expected got)))

(defun test-contains (what part text)
  "Fail saying WHAT unless PART is in TEXT."
  (unless (string-search part text) (error "%s: %S is not in %S" what part text)))
