;;; emacs.el --- one code action and one command through eglot  -*- lexical-binding: t -*-
(setq eglot-sync-connect 60 eglot-connect-timeout 60 eglot-autoshutdown t
      eglot-confirm-server-edits nil jsonrpc-default-request-timeout 60)

(defun test-wait (what condition)
  "Wait until CONDITION holds, or fail saying WHAT."
  (let (got)
    (with-timeout (60 (error "timed out: %s" what))
      (while (not (setq got (funcall condition)))
        (accept-process-output nil 0.02)))
    got))

(defun test-titles ()
  (mapcar (lambda (item) (plist-get item :name))
          (plist-get (pieces-command "pieces.conversations.list" '(:limit 10)) :items)))

(find-file "notes.txt")
(apply #'eglot (eglot--guess-contact))
(test-wait "the server" #'eglot-managed-p)
(test-wait "live" (lambda () (equal "live" (plist-get (pieces-command "pieces.status") :state))))

(let ((action (test-wait
               "the code action"
               (lambda ()
                 (seq-find (lambda (one) (string-match-p "Start a conversation" (plist-get one :title)))
                           (eglot-code-actions (point-min) (point-min) nil nil))))))
  (eglot-execute (eglot-current-server) action)
  (test-wait "a conversation from the file" (lambda () (equal '("notes.txt") (test-titles)))))
(princ "ok emacs-code-action\n")

(pieces-new)
(unless (string-prefix-p "# " (buffer-string)) (error "The document: %s" (buffer-string)))
(unless buffer-read-only (error "The document can be written to"))
(let ((text (buffer-string)))
  (revert-buffer t t)
  (unless (equal text (buffer-string)) (error "Read again: %s" (buffer-string))))
(set-buffer "notes.txt")
(unless (= 2 (length (test-titles))) (error "After the command: %S" (test-titles)))
(cl-letf (((symbol-function 'completing-read) (lambda (&rest _) "notes.txt")))
  (pieces-list))
(unless (string-match-p "notes.txt" (buffer-string)) (error "The list has opened: %s" (buffer-string)))
(princ "ok emacs-command\n")

;; A link in a file leads to the conversation, and so does the server's own command.
(let ((uri buffer-file-name))
  (set-buffer "notes.txt")
  (goto-char (point-max))
  (save-excursion (insert "see " uri "\n"))
  (search-forward "pieces-")
  (xref-find-definitions (xref-backend-identifier-at-point 'eglot))
  (unless (equal uri buffer-file-name) (error "The definition: %s" (buffer-name)))
  (kill-buffer)
  (set-buffer "notes.txt")
  (pieces-command "pieces.conversations.open" `(:conversation ,(substring uri (length "pieces-conversation:/") -3)))
  (test-wait "the document" (lambda () (find-buffer-visiting uri))))
(princ "ok emacs-document\n")
(set-buffer "notes.txt")
(set-buffer-modified-p nil)
(eglot-shutdown (eglot-current-server))
