;;; lsp_mode.el --- one code action and one command through lsp-mode  -*- lexical-binding: t -*-
(setq lsp-auto-guess-root t lsp-enable-suggest-server-download nil lsp-restart 'ignore
      lsp-response-timeout 60 lsp-warn-no-matched-clients nil
      lsp-session-file (expand-file-name "session" temporary-file-directory))

(defun test-wait (what condition)
  "Wait until CONDITION holds, or fail saying WHAT."
  (let (got)
    (with-timeout (60 (error "timed out: %s" what))
      (while (not (setq got (funcall condition)))
        (accept-process-output nil 0.02)))
    got))

(defun test-command (command &optional argument)
  (lsp-request "workspace/executeCommand"
               (list :command command :arguments (if argument (vector argument) []))))

(defun test-total ()
  (lsp-get (test-command "pieces.conversations.list" '(:limit 10)) :total))

(find-file "notes.txt")
(lsp-workspace-folders-add default-directory)
(lsp)
(test-wait "the server" (lambda () (and (lsp-workspaces) (eq 'initialized (lsp--workspace-status (car (lsp-workspaces)))))))
(test-wait "live" (lambda () (equal "live" (lsp-get (test-command "pieces.status") :state))))
(goto-char (point-min))
(let ((action (test-wait
               "the code action"
               (lambda ()
                 (seq-find (lambda (one) (string-match-p "Start a conversation" (lsp-get one :title)))
                           (lsp-code-actions-at-point))))))
  (lsp-execute-code-action action)
  (test-wait "a conversation from the file" (lambda () (= 1 (test-total)))))
(princ "ok lsp-mode-code-action\n")
(lsp-workspace-command-execute "pieces.conversations.create" [])
(test-wait "an empty conversation" (lambda () (= 2 (test-total))))
(princ "ok lsp-mode-command\n")
(lsp-workspace-shutdown (car (lsp-workspaces)))
